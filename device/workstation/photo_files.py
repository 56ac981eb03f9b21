"""Where the photos of a split are: in the data folder, or taken from the films in it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PhotoFiles:
    """Finds the file of a photo by its path in `split.csv`."""

    folder: Path
    """The data folder."""
    films: Path | None = None
    """Where frames of films are kept: the same tree, with a folder in the place of each film. None:
    there are no films."""

    def path(self, name: str) -> Path:
        """The file of a photo.

        A frame's path goes on behind that of its film, as `robin/clip.mp4/000012500ms.jpg`. No file
        of the data folder can have such a path.
        """
        own = self.folder / name
        return self.films / name if self.films and own.parent.is_file() else own
