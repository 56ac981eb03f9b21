"""What the sinks with a server share: the port, and who gets an answer."""

from abc import ABC, abstractmethod

from device.outputs.http.access import Access
from device.outputs.http.messages import Request, Response
from device.outputs.http.server import HttpServer
from device.settings.sections import ServerConfig
from device.telemetry.status import Status


class ServingSink(ABC):
    """A sink that answers requests; the rest of `device.outputs.sink.Sink` is its own."""

    name: str

    def __init__(self, config: ServerConfig) -> None:
        """The port is opened with the first tick, and again until it works.

        Args:
            config: settings that were checked (`check_server`).
        """
        self._address, self._wanted_port = config.address, config.port
        self._access = Access(config)
        self._server = HttpServer(self.name, self._answer, self._trusts)

    @property
    def port(self) -> int:
        """Where it listens; 0 as long as it does not."""
        return self._server.port

    def tick(self, status: Status) -> None:
        """Open the port.

        Raises:
            OutputError: while the port cannot be had.
        """
        if not self.port:
            self._server.start(self._address, self._wanted_port)

    def close(self) -> None:
        """Close the port and all connections."""
        self._server.close()

    @abstractmethod
    async def _answer(self, request: Request) -> Response:
        """Answer a request, refused ones too; on the server's thread."""

    def _trusts(self, request: Request) -> bool:
        return self._access.refuse(request) is None
