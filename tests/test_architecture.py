"""The rules of the house, checked on the source itself."""

from __future__ import annotations

import ast
import importlib.util
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Lowest first. Packages and modules of one layer are peers: they do not import one another ...
LAYERS = (
    {"types", "errors", "progress", "validation"},
    {"io", "data", "models", "losses", "metrics", "matching"},
    {"checkpoints", "adaptation", "devices"},
    {"adapted_model", "training", "inference", "evidence", "reporting"},
    {"selection", "config", "artifacts"},
    {"application", "exporting"},
    {"stages"},
    {"pipelines"},
    {"cli", "napari"},
)
# ... with these exceptions.
ALLOWED = {("data", "io"), ("types", "errors"), ("validation", "errors")}
# Resources inside the wheel; reading one is no dependency on code.
RESOURCES = {"configs", "data_manifests", "reports"}
REFUSED = {"utils", "helpers", "common", "misc", "base", "manager"}
MAX_LINES = 400
WITH_TORCH = {"biostyle.data.datasets", "biostyle.data.preprocessing"}


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted name and file of everything that is shipped."""
    for folder, package in ((ROOT / "biostyle", "biostyle"), (ROOT / "pipelines", "biostyle.pipelines")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


MODULES = dict(modules())


def imported(name: str, path: Path) -> Iterator[str]:
    """Dotted names of the modules of ours that a module imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (dotted for dotted in found if dotted.startswith("biostyle."))


def room(dotted: str) -> str:
    """The part of a dotted name that has a place in the layers."""
    return dotted.split(".")[1]


def layer(name: str) -> int:
    """Index of the layer a room is in."""
    return next(index for index, names in enumerate(LAYERS) if name in names)


def test_every_room_has_its_layer() -> None:
    rooms = {room(name) for name in MODULES if name != "biostyle"}
    known = set.union(*LAYERS) | RESOURCES
    assert rooms <= known, f"give {rooms - known} a place in LAYERS"


@pytest.mark.parametrize("name", [name for name in MODULES if name != "biostyle"])
def test_imports_only_point_downwards(name: str) -> None:
    importer = room(name)
    for dotted in imported(name, MODULES[name]):
        target = room(dotted)
        if target == importer or target in RESOURCES or dotted == "biostyle.__version__":
            continue
        down = layer(target) < layer(importer)
        assert down or (importer, target) in ALLOWED, f"{name} must not import {dotted}"


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    parts = {part for name in MODULES for part in name.split(".")}
    assert not parts & REFUSED


@pytest.mark.parametrize("name", MODULES)
def test_files_stay_short(name: str) -> None:
    n_lines = len(MODULES[name].read_text(encoding="utf-8").splitlines())
    assert n_lines <= MAX_LINES, f"{name} has {n_lines} lines and wants to be two"


@pytest.mark.parametrize("name", [name for name, path in MODULES.items() if path.name != "__init__.py"])
def test_every_module_has_its_test_file(name: str) -> None:
    *folders, stem = name.split(".")[1:]
    expected = Path("tests", *folders, f"test_{stem}.py")
    assert (ROOT / expected).is_file(), f"{name} has no {expected}"


@pytest.mark.parametrize("name", [name for name, path in MODULES.items() if path.name == "__init__.py"])
def test_every_package_states_its_contract(name: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", MODULES)
def test_no_pickle_is_ever_opened(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            assert not {"pickle", "joblib", "dill"} & {module, *(alias.name for alias in node.names)}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch":
            assert node.attr not in {"load", "save"}, f"{name} uses torch.{node.attr}"
        if isinstance(node, ast.keyword):
            assert node.arg != "allow_pickle", f"{name} allows pickles"


def test_metrics_io_reporting_and_data_import_without_torch() -> None:
    light = [
        name
        for name in MODULES
        if name not in WITH_TORCH
        and name.split(".")[1:2] in (["metrics"], ["io"], ["reporting"], ["data"], ["errors"], ["types"])
    ]
    assert len(light) > 10
    script = (
        "import importlib, json, sys\n"
        "loaded = {}\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    importlib.import_module(name)\n"
        "    loaded[name] = 'torch' in sys.modules\n"
        "print(json.dumps([name for name, with_torch in loaded.items() if with_torch][:1]))\n"
    )
    command = [sys.executable, "-c", script, json.dumps(light)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert json.loads(answer.stdout) == []


def test_help_answers_at_once() -> None:
    def cpu_seconds() -> float:
        """CPU time of one call: on a busy machine the clock on the wall says little about the program."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", "from biostyle.cli import main; main(['--help'])"]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu_seconds() for _ in range(5)) < 0.3


def test_everything_shipped_can_be_found_where_the_wheel_puts_it() -> None:
    for name in MODULES:
        assert importlib.util.find_spec(name) is not None, name
