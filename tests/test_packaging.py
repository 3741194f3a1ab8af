"""The wheel: it carries everything, and works away from the clone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def call(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command and return what it printed."""
    result = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=os.environ | environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the clone."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in ("biostyle", "pipelines", "configs", "data_manifests", "reports"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    call(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, source, cwd=source)
    (path,) = out.glob("biostyle-*.whl")
    return path


def test_the_wheel_carries_everything_the_clone_has(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    rooms = {"biostyle": ROOT / "biostyle"}
    rooms |= {
        f"biostyle/{name}": ROOT / name
        for name in ("pipelines", "configs", "data_manifests", "reports/templates")
    }
    expected = {
        f"{room}/{path.relative_to(folder).as_posix()}"
        for room, folder in rooms.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.is_symlink()
    }
    assert expected - names == set()
    for name in ("configs/demo.toml", "configs/cell_tracking/cpu.toml", "pipelines/demo.py", "py.typed"):
        assert f"biostyle/{name}" in names
    others = {name.split("/")[0] for name in names} - {"biostyle"}
    assert all(name.endswith(".dist-info") for name in others)


def test_the_demo_runs_from_the_wheel_away_from_the_clone(wheel: Path, tmp_path: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    call(*pip, "install", "--quiet", "--no-deps", "--target", site, wheel, cwd=empty)
    environment = {"PYTHONPATH": str(site)}
    where = "import biostyle, biostyle.pipelines as p; print(biostyle.__file__, p.__file__, sep='\\n')"
    for line in call(sys.executable, "-c", where, cwd=empty, **environment).splitlines():
        assert Path(line).is_relative_to(site)
    command = (site / "bin" / "biostyle", "demo", "--out", "demo", "--json")
    summary = json.loads(call(sys.executable, *command, cwd=empty, **environment))
    assert summary == json.loads((empty / "demo" / "run" / "report" / "summary.json").read_text())
    assert "<html" in (empty / "demo" / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert [path.name for path in empty.iterdir()] == ["demo"]
    domains = summary["domains"]
    assert domains["microscope_a"]["before"]["f_score"] > 0.8
    # Whether translation helps is what the report is there to say; that it was tried is what is tested.
    candidates = domains["microscope_b"]["candidates"]
    assert domains["microscope_b"]["chosen"] in candidates
    assert len({candidates[name]["f_score"] for name in ("before", "matching", "cyclegan")}) > 1
