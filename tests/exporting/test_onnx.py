"""The ONNX graph computes what torch computes, at any size, and says how to feed it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from biostyle.application import load
from biostyle.checkpoints import save_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError, ConfigError, OutputError
from biostyle.exporting.onnx import export_onnx
from biostyle.exporting.parts import Part, open_part
from biostyle.io.scaling import to_unit_range
from biostyle.matching.chain import MatchingChain
from biostyle.matching.histogram import Histogram
from biostyle.models.foreign import open_foreign
from biostyle.types import NDArray
from tests.adapted_models import list_anew, write_adapted

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SIZES = ((1, 1, 96, 131), (2, 1, 77, 64))
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapted(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="module")
def exported(directory: Path) -> Callable[[Part], Path]:
    """Export each part once; tracing takes seconds."""

    @cache
    def export(part: Part) -> Path:
        return export_onnx(directory, directory.with_name(f"{part}.onnx"), part)

    return export


def frames(shape: tuple[int, ...]) -> NDArray:
    return np.random.default_rng(5).integers(100, 4000, shape, dtype=np.uint16)


def unit(batch: NDArray) -> NDArray:
    return np.stack([to_unit_range(frame[0])[None] for frame in batch])


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.slow
@pytest.mark.parametrize("part", ["stylizer", "segmenter", "composition"])
def test_it_computes_what_torch_computes(
    directory: Path, part: Part, exported: Callable[[Part], Path]
) -> None:
    opened, running = open_part(directory, part), session(exported(part))
    for shape in SIZES:
        images = unit(frames(shape))
        with torch.no_grad():
            expected = opened.network(torch.from_numpy(images)).numpy()
        (found,) = running.run(None, {"images": images})
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= TOLERANCE
        model = load(directory, "cpu")
        for frame, result in zip(frames(shape), found, strict=True):
            if part == "stylizer":
                assert np.abs(result[0] - model.stylize(frame[0])).max() <= TOLERANCE
            elif part == "composition":
                agree = (result.argmax(axis=0) > 0) == (model.segment(frame[0]) > 0)
                assert agree.mean() > 0.999  # scores that are equal but for rounding


@pytest.mark.slow
def test_it_says_how_to_feed_it(exported: Callable[[Part], Path]) -> None:
    path = exported("stylizer")
    model = onnx.load(path)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(properties["preprocessing"]) == {
        "scaling": "percentile", "low_percentile": 0.5, "high_percentile": 99.5,
    }  # fmt: skip
    assert json.loads(properties["working_scale_inside"]) == 0.5
    assert (properties["part"], properties["format"]) == ("stylizer", "biostyle-onnx")
    assert set(json.loads(properties["training_data"])) == {"chain", "gen_ba", "segmenter"}
    (given,) = model.graph.input
    axes = [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim]
    assert axes == ["batch", 1, "height", "width"]
    assert model.graph.output[0].name == "stylized"
    assert str(Path(__file__).parents[2]).encode() not in path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps",
    [
        [{"kind": "background", "sigma_px": 5}, {"kind": "tone", "name": "gamma", "exponent": 0.7}],
        [{"kind": "stretch"}, {"kind": "sharpen", "sigma_px": 1.5}, {"kind": "tone", "name": "logarithm"}],
    ],
)
def test_matching_steps_are_exported(steps: list[dict[str, Any]], tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model", ("chain",))
    replace(directory / "chain", MatchingChain(steps))
    running = session(export_onnx(directory, tmp_path / "model.onnx", "stylizer"))
    for shape in SIZES:
        batch = frames(shape)
        (found,) = running.run(None, {"images": unit(batch)})
        for frame, result in zip(batch, found, strict=True):
            assert np.abs(result[0] - load(directory, "cpu").stylize(frame[0])).max() <= TOLERANCE


@pytest.mark.slow
def test_images_too_small_to_be_mirrored_are_padded_alike(
    directory: Path, exported: Callable[[Part], Path]
) -> None:
    running = session(exported("stylizer"))
    for shape in ((1, 1, 3, 5), (1, 1, 4, 40)):
        images = unit(frames(shape))
        with torch.no_grad():
            expected = open_part(directory, "stylizer").network(torch.from_numpy(images)).numpy()
        assert np.abs(running.run(None, {"images": images})[0] - expected).max() <= TOLERANCE


def test_what_has_no_form_in_onnx_is_refused(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model", ("chain",))
    replace(directory / "chain", MatchingChain([Histogram(quantiles=(0.0, 0.5, 1.0))]))
    with pytest.raises(CheckpointError, match="form in ONNX, got histogram: it searches"):
        export_onnx(directory, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_foreign_segmenter_is_refused(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model", ("chain",))
    replace(directory / "segmenter", open_foreign("tests.foreign_segmenters:Smooth"))
    with pytest.raises(CheckpointError, match="network of biostyle to be exported as ONNX, got entry"):
        export_onnx(directory, tmp_path / "model.onnx")


def test_nothing_is_overwritten(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(OutputError, match=r"must be new, got something that exists \(.*model.onnx"):
        export_onnx(directory, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_text() == "mine"


def test_a_missing_package_names_the_extra(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"onnxscript.*Install biostyle\[onnx\]"):
        export_onnx(directory, tmp_path / "model.onnx")


def replace(directory: Path, model: nn.Module) -> None:
    """Put another network in the place of a part."""
    save_model(
        directory,
        model,
        preprocessing=Preprocessing(working_scale=0.5).model_dump(mode="json"),
        training_data={"frames": []},
    )
    list_anew(directory.parent)
