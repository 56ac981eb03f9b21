"""Command line of the conversion stage: export, verify, bundle."""

import argparse
import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from convert.artifacts import training as artifacts_training
from convert.artifacts.exported import Export, read_export, read_model
from convert.artifacts.training import REPORT, Training, load_network, read
from convert.bench.figures import accuracy_table, header, load_build, scores_table
from convert.config import ConvertConfig, Gate
from convert.errors import GateError
from convert.pack import bundle as package
from convert.quantize.calibration import choose
from convert.report.summary import summarise
from convert.targets import edgetpu, measure_runtimes, micro, tolerance
from convert.targets import runtimes as preflight
from convert.tflite import metadata
from convert.tflite.flatbuffer import read_facts
from convert.verify import comparison
from device.commit import commit
from device.console import guarded
from device.contract import bundle as contract
from device.errors import UsageError
from device.files import write_bytes
from device.inference.classifier import Classifier
from device.quiet import quiet_native_stderr

if TYPE_CHECKING:
    from convert.verify.evidence import Evidence

SAMPLES_PER_CLASS = 2
WORST_LAYERS_NAMED = 3

EXAMPLES = """examples:
  python -m convert export --training build/train --out build/convert
  python -m convert verify --training build/train --models build/convert --out build/bundle
  python -m convert bundle --training build/train --models build/convert --out build/bundle
"""


def export(options: argparse.Namespace) -> int:
    """Write the float32 and the int8 model."""
    if options.calibration_photos < 1:
        raise UsageError(f"--calibration-photos {options.calibration_photos}: at least 1")
    training, made_by = read(options.training), commit()
    network = load_network(training.model_path)
    with quiet_native_stderr():
        from convert.quantize.export import float_model, int8_model
        from convert.quantize.plan import make_plan

    photos = choose(training.photos["train"], options.calibration_photos, options.seed)
    pixels = np.stack([training.pixels(photo) for photo in photos])
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{'quantizing layers':24}", total=len(network.layers))
        plan = make_plan(network, pixels, lambda: progress.advance(task))
    with quiet_native_stderr():
        reference = float_model(network)
        model = metadata.embed(int8_model(network, plan), _description(training))
    preflight.oldest(read_facts(model).operators, preflight.read_table())
    Export(reference, model, plan.scales, options.seed, photos, made_by).write(options.out)
    print(f"exported {options.out / contract.MODEL}, calibrated on {len(photos)} photos")
    return 0


def _description(training: Training) -> metadata.Description:
    data = training.metrics["data"]
    text = f"Classifies a picture into {len(training.labels)} classes. {data['description']}"
    return metadata.Description(data["name"], text, training.labels)


def verify_models(options: argparse.Namespace) -> int:
    """Compare Keras, float and int8 on the test part; fail if too much is lost."""
    config = ConvertConfig(
        gate=Gate(
            max_loss_points=options.max_loss_points,
            min_agreement=options.min_agreement,
            strict=options.strict,
        ),
        allow_regression=options.allow_regression,
        allow_cpu_operators=options.allow_cpu_operators,
    )
    training, made_by = read(options.training), commit()
    before, behind = training.page()
    exported = read_export(options.models, training)
    models = exported.models
    preflight.oldest(read_facts(models[contract.MODEL]).operators, preflight.read_table())
    network = load_network(training.model_path)
    float32, int8 = (
        Classifier(model, training.labels, training.preprocessing) for model in models.values()
    )
    with Progress(console=Console(stderr=True)) as progress:
        outputs, validation = (
            _classify(training, network, float32, int8, part, progress) for part in ("test", "val")
        )
        verification = comparison.judge(training.labels, outputs, config.gate, validation)
        evidence = _gather(training, network, exported, int8, outputs, validation, progress)
    description = training.metrics["data"]["description"]
    record = comparison.record(
        verification, models, description, allow_regression=config.allow_regression
    )
    edge_tpu = _judge_edge_tpu(models[contract.MODEL], options.models, config)
    record |= {"threshold": evidence.threshold.record(), "evidence": evidence.record()}
    record |= {"edge_tpu": edge_tpu, "commit": made_by}
    # Beside the models: the bundle keeps that of the model in it, whatever is said of this one.
    verification_file = options.models / package.VERIFICATION
    write_bytes(verification_file, (json.dumps(record, indent=2) + "\n").encode())
    report_path = options.out.with_name(REPORT)
    report_path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(report_path, f"{before}{_section(training, record)}{behind}".encode())
    print(f"verification on the test part of {description}\n\n{comparison.table(verification)}")
    print(f"{edge_tpu['summary']}\nreport: {report_path}")
    problems = []
    if not verification.ships and config.allow_regression:
        print("shipping all the same, as asked; the manifest records it")
    elif not verification.ships:
        worst = evidence.noisiest(WORST_LAYERS_NAMED)
        problems.append(
            f"the int8 model may not ship: {'; '.join(verification.judgement.failures)}. Most "
            f"noise comes from {worst}. See {report_path}; more photos, more EPOCHS= or "
            "CALIBRATION= may help; ALLOW_REGRESSION=1 ships it all the same, and the manifest "
            "says so"
        )
    if edge_tpu["failures"] and not config.allow_cpu_operators:
        problems.append(
            "an Edge TPU would leave operators to the CPU: "
            f"{'; '.join(edge_tpu['failures'][:3])}. ALLOW_CPU_OPERATORS=1 ships it all the same"
        )
    if problems:
        raise GateError(". And ".join(problems))
    return 0


def _section(training: Training, record: dict[str, Any]) -> str:
    from convert.report import section

    by_path = {photo.path: photo for photo in training.photos["test"]}
    return section.section(
        record, training.metrics["calibration"], lambda name: training.pixels(by_path[name])
    )


def _gather(
    training: Training,
    network: Any,
    exported: Export,
    int8: Classifier,
    outputs: comparison.Outputs,
    validation: comparison.Outputs,
    progress: Progress,
) -> "Evidence":
    with quiet_native_stderr():
        from convert.verify.evidence import gather, steps

    task = progress.add_task(f"{'layers and probabilities':24}", total=steps(training))
    advance = partial(progress.advance, task)
    model, scales = exported.int8_model, exported.scales
    return gather(training, network, model, scales, int8, outputs, validation, advance)


def _judge_edge_tpu(model: bytes, models: Path, config: ConvertConfig) -> dict[str, Any]:
    """The Edge TPU's part of the verdict; leaves the compiled model beside the others."""
    verdicts, compilation = edgetpu.judge(model), edgetpu.compile_model(model)
    path = models / contract.EDGETPU_MODEL
    path.unlink(missing_ok=True)
    if compilation and compilation.model:
        write_bytes(path, compilation.model)
    return edgetpu.record(verdicts, compilation, allowed=config.allow_cpu_operators)


def bundle(options: argparse.Namespace) -> int:
    """Write the bundle folder and the tar."""
    training = read(options.training)
    exported = read_export(options.models, training)
    model = exported.int8_model
    verification_file = options.models / package.VERIFICATION
    verification = package.read_verification(verification_file, model)
    config = ConvertConfig(seed=exported.seed)
    classifier = Classifier(model, training.labels, training.preprocessing)
    compiled = options.models / contract.EDGETPU_MODEL
    edgetpu_model = compiled.read_bytes() if compiled.exists() else None
    files = package.build(
        training,
        classifier,
        model,
        verification,
        exported.photos,
        config,
        edgetpu_model,
        tolerance.read_table(options.measured),
        exported.commit,
    )
    proof = {package.VERIFICATION: verification_file.read_bytes()}
    package.write_folder(options.out, {**files, **proof})
    tar = options.out.with_name(f"{options.out.name}.tar")
    write_bytes(tar, package.tar_bytes(files))
    size = sum(map(len, files.values())) / 2**20
    print(f"bundle: {options.out} and {tar} ({size:.1f} MiB, {len(files)} files)")
    return 0


def runtimes(options: argparse.Namespace) -> int:
    """Measure which operator versions the given environments' runtimes have."""
    model = read_model(options.model)
    operators = sorted(read_facts(model).operators)
    table = [measure_runtimes.measure(python, model, operators) for python in options.python]
    write_bytes(options.out, preflight.table_text(table).encode())
    print("\n".join(f"{support.name}: {support.operators}" for support in table))
    return 0


def tolerances(options: argparse.Namespace) -> int:
    """Take what was measured on the emulated boards into the table for all networks."""
    rows = tolerance.read_table(options.measured)
    if not rows:
        raise UsageError(f"{options.measured}: nothing measured; run `make test-arm` first")
    table = tolerance.merged(tolerance.read_table(options.out), rows)
    write_bytes(options.out, tolerance.table_text(table).encode())
    print(f"{options.out}: {len(table)} rows, {len(rows)} of them from {options.measured}")
    return 0


def microcontroller(options: argparse.Namespace) -> int:
    """Write a bundle's model as C++ sources, measured in the tflite-micro interpreter."""
    loaded = contract.load(options.bundle)
    measured = micro.measure(loaded)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in micro.sources(loaded, measured).items():
        write_bytes(options.out / name, text.encode())
    print(
        f"{options.out}: model {len(loaded.model):,} bytes, arena {measured.arena_bytes:,} bytes; "
        f"tflite-micro is at most {measured.max_steps} steps of 256 from the golden outputs"
    )
    return 0


def samples(options: argparse.Namespace) -> int:
    """Copy a few test photos of each class, as frames to try the bundle on."""
    training = read(options.training)
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    chosen = artifacts_training.one_class_after_another(training.photos["test"])
    for number, photo in enumerate(chosen[: SAMPLES_PER_CLASS * len(training.labels)]):
        name = f"{number:03d}_{training.labels[photo.label]}{Path(photo.path).suffix.lower()}"
        (options.out / name).write_bytes(training.content(photo))
    return 0


def summary(options: argparse.Namespace) -> int:
    """Print the figures of a build."""
    rows = summarise(contract.load(options.bundle), options.bundle, options.training)
    print("\n" + "\n".join(f"{name:12} {value}" for name, value in rows))
    return 0


def figures(options: argparse.Namespace) -> int:
    """Print the tables of accuracy and scores that stand in RESULTS.md."""
    builds = [load_build(folder) for folder in options.builds]
    print(f"{header()}\n\n{accuracy_table(builds)}\n\n{scores_table(builds)}")
    return 0


def _classify(
    training: Training,
    network: Any,
    float32: Classifier,
    int8: Classifier,
    part: str,
    progress: Progress,
) -> comparison.Outputs:
    photos = training.photos[part]
    import tensorflow as tf

    predict = tf.function(
        lambda x: network(x, training=False)["probabilities"], autograph=False, jit_compile=False
    )
    task = progress.add_task(f"{f'verifying, {part} part':24}", total=len(photos))
    return comparison.classify_all(
        np.array([photo.label for photo in photos], np.int64),
        [partial(training.pixels, photo) for photo in photos],
        lambda pixels: predict(pixels).numpy(),
        float32,
        int8,
        lambda: progress.advance(task),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    options = _parser().parse_args(arguments)
    return guarded(lambda: int(options.command(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m convert",
        description="Quantize the trained network, verify it, pack it into a bundle.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--training", type=Path, default=Path("build/train"))
    models = argparse.ArgumentParser(add_help=False)
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
        "--strict", action="store_true", help="too few photos to tell are a failure, too"
    )
    command.add_argument(
        "--allow-regression", action="store_true", help="ship although the gate fails; recorded"
    )
    command.add_argument(
        "--allow-cpu-operators",
        action="store_true",
        help="ship although an Edge TPU would leave operators to the CPU; recorded",
    )
    command.set_defaults(command=verify_models)

    measured = argparse.ArgumentParser(add_help=False)
    measured.add_argument(
        "--measured",
        type=Path,
        default=Path("build/arm") / tolerance.TABLE.name,
        help="what `make test-arm` measured, if it was run (default: %(default)s)",
    )
    command = commands.add_parser(
        "bundle", parents=[shared, models, measured], help="pack the bundle"
    )
    command.set_defaults(command=bundle)

    command = commands.add_parser("figures", help="the tables of RESULTS.md, from several builds")
    command.add_argument("builds", nargs="+", type=Path)
    command.set_defaults(command=figures)

    command = commands.add_parser("runtimes", help="measure the operator versions of runtimes")
    command.add_argument("--model", type=Path, default=Path("build/convert") / contract.MODEL)
    command.add_argument("--python", type=Path, action="append", required=True)
    command.add_argument("--out", type=Path, default=preflight.TABLE)
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

    command = commands.add_parser("summary", parents=[shared], help="print the build's figures")
    command.add_argument("--bundle", type=Path, default=Path("build/bundle"))
    command.set_defaults(command=summary)
    return parser


if __name__ == "__main__":
    sys.exit(main())
