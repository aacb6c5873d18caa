"""Files into a run and out of it."""
import os

from dunlin import Client

CODE = """
with open("numbers.txt") as f:
    numbers = [int(line) for line in f]
with open("sum.txt", "w") as f:
    f.write(str(sum(numbers)))
"""

with Client(os.environ.get("DUNLIN_URL", "http://localhost:8000")) as client:
    run = client.execute(CODE, files={"numbers.txt": "1\n2\n3\n"})
    print("sum:", run.files["sum.txt"].decode())
