"""Run code once, in a sandbox of its own."""
import os

from dunlin import Client

with Client(os.environ.get("DUNLIN_URL", "http://localhost:8000")) as client:
    run = client.execute("print(2 ** 64)")
    print(run.stdout, end="")
    run = client.execute("import sys; sys.exit(3)")
    print("exit code", run.exit_code)
