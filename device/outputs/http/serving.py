"""The base of sinks with a server: opening the port, and access rules."""

from abc import ABC, abstractmethod

from device.outputs.http.access import Access
from device.outputs.http.messages import Request, Response
from device.outputs.http.server import HttpServer
from device.settings.sections import ServerConfig
from device.telemetry.status import Status


class ServingSink(ABC):
    """A sink that answers requests; subclasses add the rest of `device.outputs.sink.Sink`."""

    name: str

    def __init__(self, config: ServerConfig) -> None:
        """Take the settings; each `tick` tries to open the port until that works.

        Args:
            config: settings that `check_server` has checked.
        """
        self._address, self._wanted_port = config.address, config.port
        self._access = Access(config)
        self._server = HttpServer(self.name, self._answer, self._trusts)

    @property
    def port(self) -> int:
        """The port where it listens; 0 if it does not listen yet."""
        return self._server.port

    def tick(self, status: Status) -> None:
        """Open the port.

        Raises:
            OutputError: while the port cannot be opened.
        """
        if not self.port:
            self._server.start(self._address, self._wanted_port)

    def close(self) -> None:
        """Close the port and all connections."""
        self._server.close()

    @abstractmethod
    async def _answer(self, request: Request) -> Response:
        """Answer a request, even one to refuse; called on the server's thread."""

    def _trusts(self, request: Request) -> bool:
        return self._access.refuse(request) is None
