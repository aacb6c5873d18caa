"""Make an environment, run in it, remove it."""
import os

from dunlin import Client

with Client(os.environ.get("DUNLIN_URL", "http://localhost:8000")) as client:
    environment = client.create_environment("sdk-example", "echo from the setup > /greeting")
    try:
        info = environment.info()
        print("status:", info.status)
        run = client.execute("print(open('/greeting').read(), end='')", environment="sdk-example")
        print(run.stdout, end="")
    finally:
        environment.delete()
