"""What can go wrong, and how it is told."""
import os

from dunlin import ApiError, Client, InvalidRequest, NotFound, Unreachable

with Client(os.environ.get("DUNLIN_URL", "http://localhost:8000")) as client:
    run = client.execute("1 / 0")  # code that fails is no error of the client
    print("success:", run.success, "|", run.error.splitlines()[0])
    run = client.execute("while True: pass", timeout=1)
    print("timed out:", run.timed_out)
    try:
        client.session("no-such-session")
    except NotFound as error:
        print("not found:", error.detail)
    try:
        client.create_session(size="a lot")
    except InvalidRequest as error:
        print("invalid:", error.status)
    except ApiError as error:
        print("other:", error.status)

try:
    Client("http://127.0.0.1:1", retries=0).health()
except Unreachable as error:
    print("unreachable")
