"""The Makefile on a build folder of its own, with a stand-in for Python."""

import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

from tests.support.cli import PROCESS_LIMIT_S
from tests.support.places import ROOT

FIRST = ["train data", "train weights", "train fit", "convert export"]
REST = ["convert verify", "convert bundle"]

STAND_IN = f"""#!{sys.executable} -IS
import os
import sys
from pathlib import Path

sys.path.insert(0, os.getcwd())
arguments = sys.argv[1:]
if arguments[1] == "train.stamps" or "--stamp" in arguments:
    from train import stamps
if arguments[1] == "train.stamps":
    sys.exit(stamps.main(arguments[2:]))
if arguments[1] == "train.network.limits":
    from train.network import limits
    sys.exit(limits.main(arguments[2:]))
given = dict(zip(arguments, arguments[1:]))
out = Path(given.get("--out", "."))
trained = ["labels.txt", "preprocess.json", "metrics.json", "report.html"]
made = {{
    ("train", "data"): ["data.json", "events.csv", "cuts.csv", "split.csv", "strangers.csv"],
    ("train", "audit"): ["audit.html", "audit.json"],
    ("train", "weights"): [],
    ("train", "fit"): [*trained, "timings.json"],
    ("train", "distill"): [
        *("split.csv", "events.csv", "cuts.csv", "data.json"),
        *(*trained, "timings.json", "model.keras"),
    ],
    ("convert", "export"): [
        "model_float32.tflite", "equalization.npz", "statistics.npz", "calibration.json",
        "model_int8.tflite",
    ],
    ("convert", "verify"): ["../convert/verification.json", "../report.html"],
    ("convert", "bundle"): ["manifest.json", "../bundle.tar"],
    ("convert", "samples"): [],
    ("convert", "micro"): [],
}}
command = tuple(arguments[1:3])
if command == ("device", "selftest"):
    sys.exit(Path(arguments[-1] + ".damaged").exists())
if "--stamp" in given:
    data = [a.removeprefix("--data=") for a in arguments if a.startswith("--data=")]
    stamps.write_if_changed(Path(given["--stamp"]), stamps.photos_digest(*data or [""]))
out.mkdir(parents=True, exist_ok=True)
# A test's own doings in the middle of a step; after `cut` files the step is killed.
hook = Path(__file__).with_name("hook.py")
cut = None
if hook.exists():
    exec(hook.read_text())
# As the real ones: a split or a network that is as before keeps its date.
content = " ".join(arguments) if command[0] == "convert" else "made"
contents = dict.fromkeys(made.get(command, ()), content)
if command == ("train", "fit"):
    contents = {{"model.keras": " ".join(arguments), **contents}}
for name, content in list(contents.items())[:cut]:
    path = out / name
    kept = ("split.csv", "events.csv", "cuts.csv", "data.json", "strangers.csv", "model.keras")
    keeps = command[1] != "distill" and name in kept
    if not keeps or not path.exists() or path.read_text() != content:
        path.write_text(content)
if cut is not None:
    os.kill(os.getpid(), 9)
if command == ("train", "data"):
    stamp = Path(given["--stamp"]).with_name(stamps.FILMS)
    stamps.write_if_changed(stamp, stamps.films_digest(str(out / "films")))
with Path(__file__).with_name("log").open("a") as log:
    print(*command, file=log)
"""


def environment() -> dict[str, str]:
    """Neither the variables of a make around the tests nor its job server."""
    return {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}


def makefiles() -> list[str]:
    """The Makefile and the parts that it includes."""
    includes = re.findall(r"^include (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    return ["Makefile", *" ".join(includes).split()]


def rules() -> str:
    """What stands in all of them."""
    return "\n".join((ROOT / name).read_text("utf-8") for name in makefiles())


class Workshop:
    """The Makefile on a build folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.build = folder / "build"
        self.root, self.environment = ROOT, {"HOME": str(folder)}
        self._venv, self._log = folder / "venv", folder / "venv/bin/log"
        python = self._venv / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(STAND_IN)
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        (self._venv / "ready").touch()

    @property
    def places(self) -> tuple[str, ...]:
        """The settings that lead make here."""
        return (f"BUILD={self.build}", f"VENV={self._venv}")

    def make(self, *arguments: str) -> list[str]:
        """Run make; the commands that it started, in order."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return self.started()

    def uninstall(self) -> None:
        """As in a fresh clone."""
        (self._venv / "ready").unlink()

    def clear(self) -> None:
        """Forget which commands were started."""
        self._log.write_text("")
        time.sleep(0.02)  # file systems count time in steps

    def started(self) -> list[str]:
        """The commands that were started and ended since, in order."""
        return self._log.read_text().splitlines()

    def hook(self, code: str) -> None:
        """Python that runs in every step, before it writes; `cut` kills it after so many files."""
        self._log.with_name("hook.py").write_text(code)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make, whatever becomes of it."""
        self.clear()
        return subprocess.run(
            ["make", "--no-print-directory", *self.places, *arguments],
            cwd=self.root,
            env=environment() | self.environment,
            capture_output=True,
            text=True,
            timeout=PROCESS_LIMIT_S,
            check=False,
        )
