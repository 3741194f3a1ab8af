"""A BioImage.IO package passes the format's own test; run where bioimageio.core works, which pydantic 2.14 prevents."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pydantic
import pytest

from biostyle.checkpoints import load_model, save_model
from biostyle.errors import CheckpointError, ConfigError
from biostyle.exporting.bioimageio import PackageFacts, export_bioimageio
from biostyle.exporting.parts import Part
from tests.adapted_models import list_anew, write_adapted

FACTS = PackageFacts("Adapted segmenter", ("A. Name",), "CC-BY-4.0")
new_pydantic = tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 14)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapted(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def format_installed() -> None:
    """Skip where the format is missing or cannot work."""
    if new_pydantic:
        pytest.skip("bioimageio.spec fails with pydantic 2.14")
    pytest.importorskip("bioimageio.core")
    pytest.importorskip("onnxscript")


@pytest.mark.slow
@pytest.mark.usefixtures("format_installed")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("part", ["composition", "stylizer", "segmenter"])
def test_the_package_passes_the_formats_own_test(directory: Path, part: Part, tmp_path: Path) -> None:
    from bioimageio.core import test_model as run_test

    out = export_bioimageio(directory, tmp_path / "model.zip", FACTS, part)
    summary = run_test(out)
    assert summary.status == "passed", summary.format()
    names = set(zipfile.ZipFile(out).namelist())
    assert {"weights.onnx", "test_input.npy", "test_output.npy", "README.md"} <= names
    assert not {name for name in names if Path(name).suffix in {".pt", ".pth", ".pkl"}}
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]


@pytest.mark.slow
@pytest.mark.usefixtures("format_installed")
@pytest.mark.filterwarnings("default")
def test_what_the_format_refuses_is_named(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"name must be as BioImage\.IO wants it, got 'A/B/C/D'"):
        export_bioimageio(directory, tmp_path / "model.zip", PackageFacts("A/B/C/D", ("A. Name",), "MIT"))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_names_the_extra(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bioimageio.spec", None)
    with pytest.raises(ConfigError, match=r"bioimageio.spec must be installed, got .*biostyle\[bioimageio\]"):
        export_bioimageio(directory, tmp_path / "model.zip", FACTS)


def stand_in(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Put an empty format in place of the real one."""
    from types import ModuleType

    package, spec = ModuleType("bioimageio"), ModuleType("bioimageio.spec")
    spec.save_bioimageio_package = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bioimageio", package)
    monkeypatch.setitem(sys.modules, "bioimageio.spec", spec)
    monkeypatch.setattr(pydantic, "VERSION", version)


def test_a_pydantic_it_fails_with_is_named(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "2.14.3")
    with pytest.raises(ConfigError, match=r"older than 2\.14 for bioimageio\.spec, got 2\.14\.3"):
        export_bioimageio(directory, tmp_path / "model.zip", FACTS)


def test_other_scaling_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "2.13.5")
    directory = write_adapted(tmp_path / "model", ())
    network, card = load_model(directory / "segmenter")
    preprocessing = {**card["preprocessing"], "scaling": "dtype"}
    save_model(
        directory / "segmenter", network, preprocessing=preprocessing, training_data=card["training_data"]
    )
    list_anew(directory)
    with pytest.raises(CheckpointError, match=r"scale by percentiles for BioImage\.IO, got dtype"):
        export_bioimageio(directory, tmp_path / "model.zip", FACTS)
