"""The board's own sensors: temperature, and the firmware's throttling."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

THERMAL = Path("/sys/class/thermal")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""A Raspberry Pi's firmware word as hexadecimal text: bits 0-3 now, 16-19 since boot."""
FLAGS = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
NOW = 0xF
COMMAND_TIMEOUT_S = 2
COOLER_BY_C = 5.0
"""How far below its limit the temperature falls before the rate rises again."""


@dataclass(frozen=True)
class BoardSensors:
    """Where to read; if a file is missing, so is its figure."""

    thermal: Path = THERMAL
    throttled_file: Path = THROTTLED

    def temperature_c(self) -> float | None:
        """The hottest thermal zone, degrees Celsius."""
        readings = [_number(path) for path in self.thermal.glob("thermal_zone*/temp")]
        return max((r / 1000 for r in readings if r is not None), default=None)

    def throttled(self) -> int | None:
        """The firmware's word; None on boards other than a Raspberry Pi."""
        try:
            return int(self.throttled_file.read_text(), 16)
        except (OSError, ValueError):
            return _ask_firmware()


def explain(throttled: int) -> list[str]:
    """Names of the conditions that hold now, and of those that have held since boot."""
    now = [name for bit, name in FLAGS.items() if throttled >> bit & 1]
    since = [f"{name} since boot" for bit, name in FLAGS.items() if throttled >> (bit + 16) & 1]
    return now + since


def must_slow(
    temperature_c: float | None, throttled: int | None, limit_c: float, *, slowed: bool
) -> bool:
    """Whether to lower the frame rate; once lowered, until the board is clearly cooler."""
    limit_c -= COOLER_BY_C if slowed else 0.0
    hot = temperature_c is not None and temperature_c >= limit_c
    return hot or bool((throttled or 0) & NOW)


def _ask_firmware() -> int | None:
    """`vcgencmd get_throttled`, for kernels without the file."""
    if shutil.which("vcgencmd") is None:
        return None
    try:
        run = subprocess.run(
            ["vcgencmd", "get_throttled"],
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=True,
        )
        return int(run.stdout.partition("=")[2], 16)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None
