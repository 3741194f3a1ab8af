"""The verb ``export``: what it writes and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapted_models import write_adapted
from tests.conftest import Invoke


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapted(tmp_path_factory.mktemp("models") / "model")


def test_a_hub_folder_is_written(biostyle: Invoke, model: Path, tmp_path: Path) -> None:
    result = biostyle("export", model, "-o", tmp_path / "hub", "--format", "huggingface", "--license", "MIT")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "hub")
    assert "license: mit" in (tmp_path / "hub" / "README.md").read_text()
    again = biostyle("export", model, "-o", tmp_path / "hub", "--format", "huggingface")
    assert again.exit_code == 3
    assert "must be new" in again.output


@pytest.mark.slow
def test_a_graph_is_written(biostyle: Invoke, model: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    out = tmp_path / "model.onnx"
    result = biostyle("export", model, "-o", out, "--format", "onnx", "--part", "segmenter")
    assert result.exit_code == 0, result.output
    assert onnx.load(out).graph.output[0].name == "probabilities"


def test_a_bad_call_is_refused(biostyle: Invoke, model: Path, tmp_path: Path) -> None:
    common = ["export", model, "-o", tmp_path / "out", "--format"]
    result = biostyle(*common, "huggingface", "--part", "stylizer")
    assert result.exit_code == 2
    assert "Leave --part out" in result.output
    result = biostyle(*common, "bioimageio", "--author", "A. Name")
    assert result.exit_code == 2
    assert "--author and --license" in result.output
    result = biostyle("export", tmp_path, "-o", tmp_path / "out", "--format", "huggingface")
    assert result.exit_code == 3
    assert "segmenter, got none" in result.output
