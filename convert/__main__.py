"""Command line of the conversion stage: export, verify, bundle and smaller commands.

Steps are imported when they are called, so that `--help` does not wait for SciPy.
"""

import device.interrupt  # noqa: F401

import argparse
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

from convert.config import ConvertConfig, Gate
from convert.errors import InputError
from convert.targets import runtimes as runtimes_table
from convert.targets import tolerance
from device import console
from device.contract import bundle as contract
from device.errors import UsageError
from device.files import write_bytes
from device.workstation.faults.figures import faults_line
from device.workstation.training import REPORT

EXAMPLES = """examples:
  python -m convert export --training build/train --out build/convert
  python -m convert verify --models build/convert --out build/bundle
  python -m convert bundle --models build/convert --out build/bundle
  python -m convert field --data ~/photos/from-cameras --bundle build/bundle
"""

FIELD = """Photos are sorted into a folder per class, those that show no class into _other.
Only photos that devices took at random moments judge ([output.collect]
random_per_day). With --strict the status is 3 if it is lower than promised.

examples:
  python -m convert field --data ~/photos/from-cameras
  python -m convert field --data ~/photos/from-cameras --strict
"""


def export(options: argparse.Namespace) -> int:
    """Write the float32 and the int8 model."""
    from convert.commands.export import ExportInputs, export_models

    config = ConvertConfig(calibration_photos=options.calibration_photos, seed=options.seed)
    inputs = ExportInputs(options.training, options.out, config)
    exported = export_models(inputs, show_progress=True)
    photos = len(exported.photos)
    console.say(f"exported {options.out / contract.MODEL}, calibrated on {photos} photos")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Compare Keras, float and int8 on the test part; fail if too much is lost."""
    from convert.commands.verify import VerifyInputs, require_shipping, verify_models
    from convert.report.summary import new_places_line, strangers_line
    from convert.verify import comparison

    config = ConvertConfig(
        gate=Gate(
            max_loss_points=options.max_loss_points,
            min_agreement=options.min_agreement,
            strict=options.strict,
        ),
        allow_regression=options.allow_regression,
        allow_cpu_operators=options.allow_cpu_operators,
        faults=options.faults,
    )
    report = options.out.with_name(REPORT)
    inputs = VerifyInputs(options.training, options.models, report, config)
    verified = verify_models(inputs, show_progress=True)
    table, record = comparison.table(verified.verification), verified.record
    print(f"verification on the test part of {record.data}\n\n{table}")
    lines = [
        *(record.held_out, new_places_line(record), faults_line(record.faults)),
        *([strangers_line(record.strangers)] if record.strangers else []),
        *(record.edge_tpu.summary, f"report: {report}"),
    ]
    print("\n".join(filter(None, lines)))
    if verified.shipped_on_request:
        print("shipping it anyway, as requested; the manifest records that")
    require_shipping(verified)
    return 0


def bundle(options: argparse.Namespace) -> int:
    """Write the bundle folder and the tar."""
    from convert.commands.bundle import BundleInputs, pack_bundle

    inputs = BundleInputs(
        options.training, options.models, options.out, options.measured, options.thumbnails
    )
    files = pack_bundle(inputs)
    size = sum(map(len, files.values())) / 2**20
    shown = contract.parse_manifest(files[contract.MANIFEST]).get("thumbnails")
    with_them = f", with thumbnails of {shown} training photos" if shown else ""
    told = f"{size:.1f} MiB, {len(files)} files{with_them}"
    console.say(f"bundle: {inputs.out} and {inputs.tar} ({told})")
    return 0


def runtimes(options: argparse.Namespace) -> int:
    """Measure which operator versions the runtimes of other environments load."""
    from convert.artifacts.exported import read_model
    from convert.targets import measure_runtimes
    from convert.tflite.flatbuffer import read_facts

    model = read_model(options.model)
    operators = sorted(read_facts(model).operators)
    table = [
        measure_runtimes.measure_runtime(python, model, operators) for python in options.python
    ]
    write_bytes(options.out, runtimes_table.runtimes_text(table).encode())
    print("\n".join(f"{support.name}: {support.operators}" for support in table))
    return 0


def tolerances(options: argparse.Namespace) -> int:
    """Add the measurements on emulated boards to the table for all networks."""
    rows = tolerance.read_tolerances(options.measured)
    if not rows:
        raise UsageError(f"{options.measured}: no measurements; run `make test-arm` first")
    table = tolerance.merged(tolerance.read_tolerances(options.out), rows)
    write_bytes(options.out, tolerance.tolerances_text(table).encode())
    console.say(f"{options.out}: {len(table)} rows, {len(rows)} of them from {options.measured}")
    return 0


def microcontroller(options: argparse.Namespace) -> int:
    """Write a bundle's model as C++ sources, measured in the tflite-micro interpreter."""
    from convert.commands.firmware import write_firmware

    written = write_firmware(options.bundle, options.out)
    console.say(
        f"{options.out}: model {written.model_bytes:,} bytes, "
        f"arena {written.measured.arena_bytes:,} bytes; tflite-micro is at most "
        f"{written.measured.max_steps} steps of 256 from the golden outputs"
    )
    return 0


def samples(options: argparse.Namespace) -> int:
    """Copy a few test photos of each class, as frames to try the bundle with."""
    from convert.commands.samples import copy_samples

    copy_samples(options.training, options.out)
    return 0


def field(options: argparse.Namespace) -> int:
    """Say how good a bundle is in the field; with `--strict` fail if it is lower than promised."""
    from convert.commands.field import PAGE, FieldInputs, measure_field, require_promise
    from convert.field.summary import summary as field_summary

    if not options.data:
        raise UsageError("DATA= is empty: give the folder of sorted photos from devices")
    data = Path(os.path.expanduser(options.data))
    inputs = FieldInputs(data, options.bundle, options.training, options.out, options.event_s)
    record = measure_field(inputs, show_progress=True)
    print(f"\n{field_summary(record)}")
    console.say(f"page: {options.out / PAGE}")
    if options.strict:
        require_promise(record)
    return 0


def sweep(options: argparse.Namespace) -> int:
    """Try networks on the same photos, and say which to take."""
    from convert.bench.figures import header
    from convert.commands.sweep import SweepInputs, compare, try_networks

    make, names = shlex.split(options.make), options.trials.split()
    if not options.jobs.isdecimal() or int(options.jobs) < 1:
        raise UsageError(f"JOBS={options.jobs}: give a number of trials, at least 1")
    inputs = SweepInputs(names, options.training, options.out, make, int(options.jobs))
    trials = try_networks(inputs, header(), console.say)
    print(f"\n{compare(options.out)}")
    if all(trial.error for trial in trials):
        raise InputError(f"not one trial ended well; the first said: {trials[0].error}")
    return 0


def compared(options: argparse.Namespace) -> int:
    """Write the page of the last sweep again."""
    from convert.commands.sweep import compare

    print(compare(options.out))
    return 0


def summary(options: argparse.Namespace) -> int:
    """Print the figures of a build."""
    from convert.report.summary import summarise

    rows = summarise(contract.load(options.bundle), options.bundle, options.training)
    print("\n" + "\n".join(f"{name:12} {value}" for name, value in rows))
    return 0


def figures(options: argparse.Namespace) -> int:
    """Print the tables of accuracy and scores for RESULTS.md."""
    from convert.bench.figures import accuracy_table, header, lead_table, load_build, scores_table

    builds = [load_build(folder) for folder in options.builds]
    tables = [accuracy_table(builds), scores_table(builds)]
    if options.against:
        tables.append(lead_table(builds, [load_build(folder) for folder in options.against]))
    print("\n\n".join([header(), *tables]))
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return console.run(_parser(), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = console.parser(
        "python -m convert",
        "Quantize the trained network, verify it, pack it into a bundle.",
        EXAMPLES,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = console.Parser(add_help=False)
    shared.add_argument("--training", type=Path, default=Path("build/train"))
    models = console.Parser(add_help=False)
    models.add_argument("--models", type=Path, default=Path("build/convert"))
    models.add_argument("--out", type=Path, default=Path("build/bundle"))
    defaults = ConvertConfig()

    command = commands.add_parser("export", parents=[shared], help="write the TFLite models")
    command.add_argument("--out", type=Path, default=Path("build/convert"))
    command.add_argument(
        "--calibration-photos",
        type=int,
        default=defaults.calibration_photos,
        help=f"size of the representative dataset (default: {defaults.calibration_photos})",
    )
    command.add_argument("--seed", type=int, default=defaults.seed)
    command.set_defaults(command=export)

    command = commands.add_parser(
        "verify", parents=[shared, models], help="compare the models; status 3 if too much is lost"
    )
    command.add_argument("--max-loss-points", type=float, default=defaults.gate.max_loss_points)
    command.add_argument("--min-agreement", type=float, default=defaults.gate.min_agreement)
    command.add_argument(
        "--strict", action="store_true", help="also fail if there are too few photos to tell"
    )
    command.add_argument(
        "--allow-regression", action="store_true", help="ship even if the gate fails; recorded"
    )
    command.add_argument(
        "--allow-cpu-operators",
        action="store_true",
        help="ship even if an Edge TPU would leave operators to the CPU; recorded",
    )
    command.add_argument(
        "--faults",
        default=defaults.faults,
        metavar="NAMES",
        help="of cameras: all, none, or some of them with commas between (default: all)",
    )
    command.set_defaults(command=verify)

    measured = console.Parser(add_help=False)
    measured.add_argument(
        "--measured",
        type=Path,
        default=Path("build/arm") / tolerance.TABLE.name,
        help="what `make test-arm` measured, if it was run (default: %(default)s)",
    )
    command = commands.add_parser(
        "bundle", parents=[shared, models, measured], help="pack the bundle"
    )
    command.add_argument(
        "--thumbnails",
        action="store_true",
        help="put small pictures of some training photos into it, for the device's page",
    )
    command.set_defaults(command=bundle)

    command = commands.add_parser("figures", help="the tables of RESULTS.md, from several builds")
    command.add_argument("builds", nargs="+", type=Path)
    command.add_argument(
        "--against",
        nargs="+",
        default=[],
        type=Path,
        metavar="BUILD",
        help="other builds of the same photos, in the same order: how far the first are ahead",
    )
    command.set_defaults(command=figures)

    command = commands.add_parser("runtimes", help="measure the operator versions of runtimes")
    command.add_argument("--model", type=Path, default=Path("build/convert") / contract.MODEL)
    command.add_argument("--python", type=Path, action="append", required=True)
    command.add_argument("--out", type=Path, default=runtimes_table.TABLE)
    command.set_defaults(command=runtimes)

    command = commands.add_parser(
        "tolerances", parents=[measured], help="keep what the emulated boards measured"
    )
    command.add_argument("--out", type=Path, default=tolerance.TABLE)
    command.set_defaults(command=tolerances)

    command = commands.add_parser("micro", help="write the model as C++ for a microcontroller")
    command.add_argument("--bundle", type=Path, default=Path("build/micro/bundle"))
    command.add_argument("--out", type=Path, default=Path("build/micro/cpp"))
    command.set_defaults(command=microcontroller)

    command = commands.add_parser("samples", parents=[shared], help="copy a few test photos")
    command.add_argument("--out", type=Path, default=Path("build/samples"))
    command.set_defaults(command=samples)

    command = commands.add_parser(
        "field",
        help="judge the bundle by sorted photos of random moments",
        epilog=FIELD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--data", required=True, help="folder of sorted photos")
    command.add_argument("--bundle", type=Path, default=Path("build/bundle"))
    command.add_argument(
        "--training",
        type=Path,
        default=Path("build/train"),
        help="of this bundle: what trained it, and events of that, do not judge (%(default)s)",
    )
    command.add_argument("--out", type=Path, default=Path("build/field"))
    command.add_argument(
        "--event-s",
        type=_seconds,
        default=60.0,
        help="photos of one device with gaps of at most this are one event (%(default)g)",
    )
    command.add_argument(
        "--strict", action="store_true", help="status 3 if it is lower than promised"
    )
    command.set_defaults(command=field)

    swept = console.Parser(add_help=False)
    swept.add_argument("--out", type=Path, default=Path("build/sweep"))
    command = commands.add_parser(
        "sweep", parents=[shared, swept], help="try networks on the same photos, and compare them"
    )
    command.add_argument(
        "--trials", required=True, metavar="NAMES", help='such as "mobilenet-v2@160 ..."'
    )
    command.add_argument("--jobs", default="1", help="trials at once (default: 1)")
    command.add_argument("--make", default="make", help="the command that runs a trial")
    command.set_defaults(command=sweep)

    command = commands.add_parser(
        "compare", parents=[swept], help="write the page of the last sweep again"
    )
    command.set_defaults(command=compared)

    command = commands.add_parser("summary", parents=[shared], help="print the build's figures")
    command.add_argument("--bundle", type=Path, default=Path("build/bundle"))
    command.set_defaults(command=summary)
    return parser


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text}: give a number of seconds, 0 or more")


if __name__ == "__main__":
    sys.exit(main())
