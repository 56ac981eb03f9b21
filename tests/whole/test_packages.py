"""Packages say what they are for and what others may import; loading them loads nothing heavy."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.places import ROOT

ROOTS = ("device", "train", "convert")
MOST_MODULES = 14
HEAVY = {"tensorflow", "keras", "scipy", "sklearn", "matplotlib", "av", "paho", "h11"} | {
    "prometheus_client",
    "ai_edge_litert",
    "tflite_runtime",
}

Import = tuple[str, str, int]
"""Who imports which module, in which line."""


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _sources(*roots: str) -> dict[str, Path]:
    return {_name(path): path for root in roots for path in sorted((ROOT / root).rglob("*.py"))}


MODULES = _sources(*ROOTS)
PACKAGES = {name: path for name, path in MODULES.items() if path.name == "__init__.py"}


def _imports(importer: str, tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((importer, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                yield importer, member if member in MODULES else node.module, node.lineno


IMPORTS = [
    found
    for name, path in MODULES.items()
    for found in _imports(name, ast.parse(path.read_bytes()))
    if found[1] in MODULES
]


def _declared(package: str) -> list[str]:
    for node in ast.parse(PACKAGES[package].read_bytes()).body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        targets = node.targets if isinstance(node, ast.Assign) else [target]
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    raise AssertionError(f"{package} declares no __all__")


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_it_is_for_and_which_of_its_modules_others_may_import(
    package: str,
) -> None:
    assert ast.get_docstring(ast.parse(PACKAGES[package].read_bytes()))
    declared = _declared(package)
    assert declared == sorted(set(declared))
    assert not [name for name in declared if f"{package}.{name}" not in MODULES]


def test_nobody_imports_a_module_that_its_package_does_not_declare() -> None:
    undeclared = {
        f"{importer}:{line} imports {module}; {package} does not name {inner} in __all__"
        for importer, module, line in IMPORTS
        for package, inner in _doors(module)
        if not _is_in(importer, package) and inner not in _declared(package)
    }
    assert not undeclared, "\n".join(sorted(undeclared))


def _doors(module: str) -> Iterator[tuple[str, str]]:
    """Each package on the way to a module, with the name that is asked for in it."""
    parts = module.split(".")
    for depth in range(1, len(parts)):
        yield ".".join(parts[:depth]), parts[depth]


def test_what_a_package_declares_is_used_elsewhere_or_meant_for_programs() -> None:
    used = defaultdict(set)
    for importer, module, _ in IMPORTS:
        for package, inner in _doors(module):
            if not _is_in(importer, package):
                used[package].add(inner)
    # Programs start there, or people with `python -m`.
    for_programs = {"device", "train", "convert", "train.bench", "convert.bench"}
    idle = {
        package: sorted(set(_declared(package)) - used[package])
        for package in PACKAGES
        if package not in for_programs and set(_declared(package)) - used[package]
    }
    assert not idle


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for importer, module, _ in IMPORTS:
        if module != importer:
            graph[importer].add(module)
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_folder_holds_more_than_one_module_and_not_too_many(package: str) -> None:
    folder = PACKAGES[package].parent
    inner = [path.parent for path in PACKAGES.values() if folder in path.parent.parents]
    own = [
        path
        for path in folder.rglob("*.py")
        if path.name != "__init__.py" and not any(within in path.parents for within in inner)
    ]
    assert len(own) + sum(path.parent == folder for path in inner) > 1
    assert len(own) <= MOST_MODULES, sorted(path.name for path in own)


def test_no_private_name_is_imported() -> None:
    private = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {alias.name}"
        for path in _sources(*ROOTS, "tests").values()
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert not private, "\n".join(private)


@pytest.mark.parametrize("root", ROOTS)
def test_types_are_there_for_who_imports(root: str) -> None:
    assert (ROOT / root / "py.typed").exists()


def _loaded(program: str) -> set[str]:
    """Which packages of others a program has loaded at its end."""
    ending = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{ending}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_packages_loads_nothing_heavy() -> None:
    assert not _loaded("\n".join(f"import {name}" for name in PACKAGES)) & (HEAVY | {"numpy"})


def test_the_contract_needs_no_more_than_numpy_and_pillow() -> None:
    names = [name for name in MODULES if name.startswith("device.contract.")]
    loaded = _loaded("\n".join(f"import {name}" for name in names))
    assert {"numpy", "PIL"} <= loaded and not loaded & HEAVY


@pytest.mark.parametrize("stage", ROOTS)
def test_help_is_there_before_anything_heavy_is_loaded(stage: str) -> None:
    program = f"""
import contextlib, io, runpy, sys
sys.argv = [{stage!r}, "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    runpy.run_module({stage!r}, run_name="__main__")
"""
    assert not _loaded(program) & HEAVY
