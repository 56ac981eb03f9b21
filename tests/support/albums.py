"""Folders of photos of cameras that stand still, as people have them."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.support import visited_places


@dataclass(frozen=True)
class Camera:
    """What it writes into its photos, and what it sees."""

    place: int
    model: str = ""
    """Empty: its photos say nothing of it."""
    size_px: tuple[int, int] = visited_places.SIZE_PX

    def save(self, path: Path, number: int, at_s: float = 0, *, visited: bool = True) -> Path:
        """Take photo `number`, so many seconds after the first."""
        shown = visited_places.frame(
            self.place, number, visited=visited, size_px=self.size_px, light=0.9 + number % 5 / 20
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        shown.image.save(path, quality=92, exif=self._exif(at_s) if self.model else Image.Exif())
        return path

    def _exif(self, at_s: float) -> Image.Exif:
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Trap", self.model
        days, rest = divmod(int(at_s), 86_400)
        clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
        exif.get_ifd(0x8769)[0x9003] = f"2024:05:{1 + days:02} {clock}"
        return exif

    def visits(self, folder: Path, count: int, *, every_s: float = 600, name: str = "") -> None:
        """Photos of visits, each at another time."""
        for number in range(count):
            self.save(folder / f"{name}{self.place}_{number:03}.jpg", number, number * every_s)
