"""Output as it comes, with the asynchronous client."""
import asyncio
import os

from dunlin import AsyncClient

CODE = """
import time
for i in range(3):
    print("step", i)
    time.sleep(0.05)
"""


async def main():
    async with AsyncClient(os.environ.get("DUNLIN_URL", "http://localhost:8000")) as client:
        async for event in client.stream(CODE):
            if event.name == "stdout":
                print(event.text, end="")
        async with await client.create_session(ephemeral=True) as session:
            async for event in session.stream("for i in 1 2 3; do echo line $i; done"):
                if event.name == "stdout":
                    print(event.text, end="")
                elif event.name == "result":
                    print("exit code", event.data["exit_code"])


asyncio.run(main())
