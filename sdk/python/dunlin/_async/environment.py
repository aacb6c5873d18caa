"""One environment."""
from ..paths import name_part
from ..results import EnvironmentInfo


class AsyncEnvironment:
    """A named set of packages, in which runs and sessions can be."""

    def __init__(self, transport, name):
        self._transport = transport
        self._path = "/environments/" + name_part(name)
        self.name = name

    def __repr__(self):
        return "%s(%r)" % (type(self).__name__, self.name)

    async def info(self):
        """What the server knows of it.  Raises NotFound."""
        return EnvironmentInfo.of(await self._transport.json("GET", self._path))

    async def change(self, **fields):
        """Changes description, warm, network, limits, ...; returns the EnvironmentInfo."""
        return EnvironmentInfo.of(await self._transport.json("PATCH", self._path, json=fields))

    async def rebuild(self, wait=True):
        """Builds it anew; the old one serves meanwhile."""
        await self._transport.json("POST", self._path + "/rebuild",
                                   params={"wait": "true" if wait else "false"})
        return await self.info()

    async def packages(self):
        """Its packages: a list of dictionaries with name and version."""
        return (await self._transport.json("GET", self._path + "/packages"))["packages"]

    async def logs(self, tail=None):
        """The text of its build's log, or of the last `tail` lines."""
        params = {} if tail is None else {"tail": tail}
        return (await self._transport.request("GET", self._path + "/logs", params=params)).text

    async def follow(self):
        """Yields the log's Events as it is written, until the build has ended."""
        async for event in self._transport.events("GET", self._path + "/logs",
                                                  params={"follow": "true"}):
            yield event

    async def delete(self):
        """Removes it; runs that are in it finish.  Raises NotFound."""
        await self._transport.request("DELETE", self._path)
