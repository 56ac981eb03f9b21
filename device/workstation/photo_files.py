"""Where the photos of a split are, and their bytes: in a folder, in its films, or in shards."""

from dataclasses import dataclass
from pathlib import Path

from device.contract.photos import read_photo
from device.errors import PhotoError
from device.workstation.shards.index import Shards

Source = Path | Shards
"""Where photos come from: a data folder, or what is none."""


@dataclass(frozen=True)
class PhotoFiles:
    """Finds and reads a photo by its path in `split.csv`; it may travel to other processes.

    On another machine it reads what that one reaches, too: the same folder, or the same index. The
    `spot` of a photo in a shard needs no index.
    """

    source: Source
    films: Path | None = None
    """Where frames of films are kept: the same tree, with a folder in the place of each film. None:
    there are no films."""

    @classmethod
    def recorded(cls, where: str, films: str | None, index: str | None) -> "PhotoFiles":
        """As `data.json` records it.

        Args:
            where: the data folder; with an index the address of shards.
            films: where frames of films are kept.
            index: of shards.
        """
        source = Shards(where, Path(index)) if index else Path(where)
        return cls(source, Path(films) if films else None)

    def read(self, name: str) -> bytes:
        """The bytes of a photo.

        Raises:
            PhotoError: if it cannot be read or is too large.
            StoreError: if shards or a bucket cannot be read.
        """
        if isinstance(self.source, Shards):
            return self.source.spot(name).read()
        return read_photo(self.path(name))

    def start(self, name: str, size_bytes: int) -> bytes:
        """How a photo begins: at most so many bytes; raises as `read`."""
        if isinstance(self.source, Shards):
            return self.source.spot(name).start(size_bytes)
        try:
            with self.path(name).open("rb") as file:
                return file.read(size_bytes)
        except OSError as error:
            raise PhotoError(error.strerror or str(error)) from error

    def shown(self, name: str) -> str:
        """Where a photo is, for people."""
        if isinstance(self.source, Shards):
            return f"{self.source.address}: {name}"
        return str(self.path(name))

    def state(self, name: str) -> str:
        """Another text if the file that holds a photo is written or replaced."""
        if isinstance(self.source, Shards):
            return self.source.state(name)
        path = self.path(name)
        try:
            found = path.stat()
        except (OSError, ValueError):
            return str(path)
        return f"{path} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"

    @property
    def where(self) -> str:
        """Where all of them are, for people."""
        return self.source.address if isinstance(self.source, Shards) else str(self.source)

    def are_there(self) -> bool:
        """Whether there is anything to read from."""
        if isinstance(self.source, Shards):
            return self.source.index.is_file()
        return self.source.is_dir()

    def path(self, name: str) -> Path:
        """The file of a photo of a folder.

        A frame's path goes on behind that of its film, as `robin/clip.mp4/000012500ms.jpg`. No file
        of the data folder can have such a path.

        Raises:
            PhotoError: if it is in a shard.
        """
        if isinstance(self.source, Shards):
            raise PhotoError("it is in a shard, not a file of its own: give a folder of photos")
        own = self.source / name
        return self.films / name if self.films and own.parent.is_file() else own
