"""Command line of the device package: frames to labels, the service, its bundles and checks."""

import device.interrupt  # noqa: F401

import argparse
import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

try:
    import numpy  # noqa: F401
except ImportError as error:
    # Everything here needs NumPy, even the doctor, and its own error is pages long.
    sys.exit(
        f"error: NumPy cannot be imported ({str(error).strip().splitlines()[-1]}): "
        "pip install --force-reinstall numpy; on a Raspberry Pi also apt install libopenblas0"
    )

from device import __version__, console
from device.bench import frame_loop, stages
from device.camera.source import open_source
from device.console import exit_at_once, guarded, say, show_faults, show_log
from device.contract import bundle
from device.contract.folders import photos_below
from device.contract.look.rules import Seen
from device.contract.runtimes import AUTO
from device.errors import SourceError
from device.inference import loop, selftest
from device.inference.classifier import Classifier
from device.inference.looking import Looking
from device.inference.photos import files
from device.inference.runtime import CHOICES, find
from device.inference.threads import Way
from device.settings.address import safe
from device.settings.sections import LOOK_AUTO, CameraConfig
from device.update import command as update_command
from device.update import slots

EXAMPLES = """examples:
  python -m device classify --bundle build/bundle photo.jpg
  python -m device classify --bundle build/bundle --json photos/ > results.jsonl
  python -m device run --bundle build/bundle --source photos/ --frames 100
  python -m device serve --config fieldguide.toml
  python -m device doctor --config fieldguide.toml
  python -m device slots install bundle.tar
  python -m device update status
  python -m device selftest --bundle build/bundle
  python -m device benchmark --bundle build/bundle --json
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return console.run(_parser(), arguments)


def classify(options: argparse.Namespace) -> int:
    """Classify files and folders, one line each."""
    loaded = bundle.load(options.bundle)
    rules = files.rules_of(loaded, options.look)
    classifier = _classifier(options, loaded)
    if not options.json:
        say(f"# {loaded.name}, made from {loaded.data}", error=True)
    failed, tally = False, files.Tally()
    for answer in files.answers(options.paths, classifier, rules):
        failed |= bool(answer.problem)
        tally.add(answer)
        _print_record(answer.record(), as_json=options.json)
    if rules and tally:
        say(f"# {tally.line()}", error=True)
    return int(failed)


def run(options: argparse.Namespace) -> int:
    """Classify a source's frames, one JSON line each."""
    loaded = bundle.load(options.bundle)
    classifier = _classifier(options, loaded)
    show_faults()
    source = open_source(options.source, loaded.preprocessing)
    look = Looking().through(source, CameraConfig)
    failed = False
    for result in loop.results(source, classifier, options.frames, look=look):
        record = {"frame": result.number, "source": result.frame.name, "time": time.time()}
        if result.frame.size_px is None:
            failed = True
            record["error"] = safe(result.frame.error)
        else:
            record |= result.record()
        print(json.dumps(record), flush=True)
    return int(failed)


def serve(options: argparse.Namespace) -> int:
    """Run the service until a signal ends it."""
    # Ignored until the service handles it: nothing of the settings is read yet.
    signal.signal(signal.SIGHUP, lambda *_: None)
    # Imported here: the other commands do not need it, and start sooner without it.
    from device.service.supervisor import Service

    show_log()
    service = Service(options.config)
    status = guarded(service.run)
    if service.hangs:
        # A thread stuck in a driver would keep Python from ending.
        exit_at_once(status)
    return status


def run_doctor(options: argparse.Namespace) -> int:
    """Check what keeps the service from working here."""
    from device.doctor.examine import examine
    from device.doctor.finding import report

    return report(examine(options.config), as_json=options.json)


def install_bundle(options: argparse.Namespace) -> int:
    """Put a bundle into the slot that is not current, and make that one current."""
    done = slots.install(options.tar, options.root, trial=options.trial)
    said = "installed" if done.changed else "already current"
    say(f"{said}: {done.slot}, self-test passed on {done.runtime}")
    return 0


def roll_back(options: argparse.Namespace) -> int:
    """Make the other slot current."""
    say(f"went back: {slots.rollback(options.root)}")
    return 0


def confirm_bundle(options: argparse.Namespace) -> int:
    """Note that the current slot was seen working."""
    say(f"confirmed: {slots.confirm(options.root)}")
    return 0


def revert_bundle(options: argparse.Namespace) -> int:
    """Go back to the confirmed slot."""
    slot = slots.revert(options.root)
    say(f"went back: {slot}" if slot else "nothing to go back from")
    return 0


def show_slots(options: argparse.Namespace) -> int:
    """Print what is in both slots; returns 1 unless the current one holds a whole bundle."""
    found = slots.status(options.root)
    if options.json:
        print(json.dumps([slot.record() for slot in found]))
    else:
        for slot in found:
            say(("* " if slot.current else "  ") + str(slot))
    return int(not any(slot.current and slot.bundle for slot in found))


def self_test(options: argparse.Namespace) -> int:
    """Check the golden outputs."""
    loaded = bundle.load(options.bundle)
    classifier = _classifier(options, loaded)
    result = selftest.run(loaded, classifier)
    say(
        f"self-test passed: {result.photos} golden photos on {result.runtime} "
        f"{classifier.runtime.version}, largest difference "
        f"{result.largest_difference_steps} steps, top-1 equal on {result.same_top1}"
    )
    return 0


def run_benchmark(options: argparse.Namespace) -> int:
    """Measure the frame loop and print a table or JSON."""
    loaded = bundle.load(options.bundle)
    # First, so that an error is reported here and not lost in the new process.
    runtime = find(options.runtime)
    way = frame_loop.best_way(loaded, runtime.name, options.threads)
    classifier = Classifier.from_bundle(loaded, runtime=runtime, threads=way.threads)
    synthetic = None if options.source else frame_loop.temporary_frames(loaded)
    folder = Path(synthetic.name if synthetic else options.source)
    try:
        photo = next(photos_below(folder), None) if folder.is_dir() else None
        if photo is None:
            raise SourceError(f"{folder}: not a folder with photos")
        if options.breakdown:
            _break_down(options, loaded, classifier, way, folder)
        else:
            _measure(options, loaded, classifier, way, folder, photo)
    finally:
        if synthetic:
            synthetic.cleanup()
    return 0


def _measure(
    options: argparse.Namespace,
    loaded: bundle.Bundle,
    classifier: Classifier,
    way: Way,
    folder: Path,
    photo: Path,
) -> None:
    first_label_s = frame_loop.first_label_s(options.bundle, photo, options.runtime)
    measured = frame_loop.measure(
        loaded,
        classifier,
        folder,
        frames=options.frames,
        way=way,
        first_label_s=first_label_s,
    )
    if options.json:
        print(json.dumps(measured.record()))
    else:
        for name, value in measured.record().items():
            say(f"{name:20} {value}")


def _break_down(
    options: argparse.Namespace,
    loaded: bundle.Bundle,
    classifier: Classifier,
    way: Way,
    folder: Path,
) -> None:
    source = frame_loop.Repeated(lambda: open_source(str(folder), loaded.preprocessing))
    measured = stages.measure(source, classifier, options.frames, ahead=way.ahead)
    if options.json:
        print(json.dumps([asdict(stage) for stage in measured]))
    else:
        print(stages.table(measured, way))


def _classifier(options: argparse.Namespace, loaded: bundle.Bundle) -> Classifier:
    return Classifier.from_bundle(loaded, runtime=find(options.runtime), threads=options.threads)


def _print_record(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(record), flush=True)
    elif "error" in record:
        say(f"{record['path']}: error: {record['error']}", error=True)
    else:
        best = f"{record['label']} {record['score']:.1%}"
        away = f"unknown: {record['why']} (at most {record['score']:.1%})"
        said = away if record["unknown"] else best
        found = ", with nothing new in it" if record["seen"] == Seen.NOTHING.value else ""
        say(f"{record['path']}: {said}{found}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _threads(text: str) -> int:
    number, most = _positive(text), 64
    if number > most:
        raise argparse.ArgumentTypeError(f"{number} is more than {most}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = console.parser(
        "python -m device", "Run a Fieldguide bundle: classify photos and camera frames.", EXAMPLES
    )
    parser.add_argument("--version", action="version", version=f"fieldguide {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = console.Parser(add_help=False)
    shared.add_argument("--bundle", type=Path, required=True, help="bundle folder or tar")
    shared.add_argument("--runtime", default=AUTO, help=f"TFLite runtime: {', '.join(CHOICES)}")
    shared.add_argument("--threads", type=_threads, help="threads of the interpreter")

    command = commands.add_parser("classify", parents=[shared], help="classify files and folders")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.add_argument(
        "--look",
        choices=files.LOOKS,
        default=LOOK_AUTO,
        help="cut photos of a folder to what differs from their place: auto (default) as the "
        "bundle was trained, change only with a bundle trained for it, whole never",
    )
    command.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    command.set_defaults(command=classify)

    command = commands.add_parser("run", parents=[shared], help="classify a source's frames")
    command.add_argument(
        "--source",
        required=True,
        help="folder, video file, or camera (/dev/video0, rtsp://..., http://..., auto)",
    )
    command.add_argument("--frames", type=_positive, help="stop after this many frames")
    command.set_defaults(command=run)

    command = commands.add_parser("serve", help="run the service: camera to outputs")
    command.add_argument("--config", type=Path, required=True, help="fieldguide.toml")
    command.set_defaults(command=serve)

    command = commands.add_parser("doctor", help="check what keeps the service from working")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    default = Path("/etc/fieldguide/fieldguide.toml")
    command.add_argument("--config", type=Path, default=default, help=f"default: {default}")
    command.set_defaults(command=run_doctor)

    update_command.add(commands.add_parser("update", help="signed releases that the board fetches"))

    _add_slots(commands.add_parser("slots", help="install bundles, or go back to the previous one"))

    command = commands.add_parser("selftest", parents=[shared], help="check the golden outputs")
    command.set_defaults(command=self_test)

    command = commands.add_parser("benchmark", parents=[shared], help="measure speed and memory")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument(
        "--breakdown", action="store_true", help="where each microsecond of a frame goes"
    )
    command.add_argument("--source", help="folder of photos (default: made-up 640x480 frames)")
    command.add_argument("--frames", type=_positive, default=300, help="default: 300")
    command.set_defaults(command=run_benchmark)
    return parser


def _add_slots(parser: argparse.ArgumentParser) -> None:
    shared = console.Parser(add_help=False)
    shared.add_argument("--root", type=Path, default=slots.ROOT, help=f"default: {slots.ROOT}")
    commands = parser.add_subparsers(required=True, metavar="ACTION")

    command = commands.add_parser(
        "install", parents=[shared], help="test a bundle, make it current"
    )
    command.add_argument("tar", type=Path, metavar="BUNDLE", help="bundle tar or folder")
    command.add_argument(
        "--trial",
        action="store_true",
        help="until `slots confirm`, or ten minutes of work, the next update replaces it and "
        "`slots revert` goes back",
    )
    command.set_defaults(command=install_bundle)

    command = commands.add_parser("status", parents=[shared], help="what is in both slots")
    command.add_argument("--json", action="store_true", help="a JSON list")
    command.set_defaults(command=show_slots)

    command = commands.add_parser("rollback", parents=[shared], help="make the other one current")
    command.set_defaults(command=roll_back)

    command = commands.add_parser(
        "confirm", parents=[shared], help="note that the current one works: updates keep it"
    )
    command.set_defaults(command=confirm_bundle)

    command = commands.add_parser(
        "revert", parents=[shared], help="back to the confirmed one, if another is current"
    )
    command.set_defaults(command=revert_bundle)


if __name__ == "__main__":
    sys.exit(main())
