"""A machine made out of files, and what `doctor` finds in it."""

from collections.abc import Iterable
from pathlib import Path

from device.doctor.finding import Finding
from device.doctor.host import Host


class Machine:
    """A machine made out of files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.closed: set[Path] = set()

    def host(self, user: str = "pi", groups: Iterable[str] = ("video", "plugdev")) -> Host:
        closed = self.closed

        class Guarded(Host):
            def usable(self, path: Path) -> bool:
                return path not in closed

        return Guarded(self.root, user, frozenset(groups))

    def write(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def process(self, pid: int, name: str, command: str, *targets: str) -> None:
        self.write(f"proc/{pid}/comm", f"{name}\n")
        self.write(f"proc/{pid}/cmdline", command.replace(" ", "\0") + "\0")
        folder = self.root / "proc" / str(pid) / "fd"
        folder.mkdir()
        for number, target in enumerate(targets):
            (folder / str(number)).symlink_to(target)

    def listen(self, port: int, inode: int) -> None:
        head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
        row = (
            f"   0: 0100007F:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0"
        )
        self.write("proc/net/tcp", f"{head}\n{row} {inode} 1\n")

    def usb(self, vendor: str, product: str) -> Path:
        for name, text in (("idVendor", vendor), ("idProduct", product), ("busnum", "2")):
            self.write(f"sys/bus/usb/devices/2-1/{name}", f"{text}\n")
        self.write("sys/bus/usb/devices/2-1/devnum", "4\n")
        return self.write("dev/bus/usb/002/004")


def states(found: Iterable[Finding]) -> dict[str, str]:
    return {finding.check: finding.state for finding in found}


def the(found: Iterable[Finding], check: str) -> Finding:
    (finding,) = (finding for finding in found if finding.check == check)
    return finding
