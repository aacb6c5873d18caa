"""Many runs side by side."""
import asyncio
import os

from dunlin import AsyncClient


async def main():
    async with AsyncClient(os.environ.get("DUNLIN_URL", "http://localhost:8000")) as client:
        runs = await asyncio.gather(*(client.execute("print(%d ** 2)" % n) for n in range(8)))
        print(" ".join(run.stdout.strip() for run in runs))


asyncio.run(main())
