"""Where the photos of a split are, and their bytes: in the data folder, or taken from its films."""

from dataclasses import dataclass
from pathlib import Path

from device.contract.photos import read_photo
from device.errors import PhotoError


@dataclass(frozen=True)
class PhotoFiles:
    """Finds and reads a photo by its path in `split.csv`; it may travel to other processes."""

    source: Path
    """The data folder."""
    films: Path | None = None
    """Where frames of films are kept: the same tree, with a folder in the place of each film. None:
    there are no films."""

    def read(self, name: str) -> bytes:
        """The bytes of a photo.

        Raises:
            PhotoError: if it cannot be read or is too large.
        """
        return read_photo(self.path(name))

    def start(self, name: str, size_bytes: int) -> bytes:
        """How a photo begins: at most so many bytes; raises PhotoError if it cannot be read."""
        try:
            with self.path(name).open("rb") as file:
                return file.read(size_bytes)
        except OSError as error:
            raise PhotoError(error.strerror or str(error)) from error

    def shown(self, name: str) -> str:
        """Where a photo is, for people."""
        return str(self.path(name))

    def are_there(self) -> bool:
        """Whether there is anything to read from."""
        return self.source.is_dir()

    def path(self, name: str) -> Path:
        """The file of a photo.

        A frame's path goes on behind that of its film, as `robin/clip.mp4/000012500ms.jpg`. No file
        of the data folder can have such a path.
        """
        own = self.source / name
        return self.films / name if self.films and own.parent.is_file() else own
