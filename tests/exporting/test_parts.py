"""Parts of an adapted model as networks from frame to frame, and outputs that are complete or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biostyle.adapted_model import save_adapted
from biostyle.application import load
from biostyle.checkpoints import save_model
from biostyle.errors import CheckpointError, ChecksumError, ConfigError, OutputError
from biostyle.exporting.parts import Part, check_model, new_output, open_part, read_description
from biostyle.io.scaling import to_unit_range
from biostyle.models.unet import UNet
from tests.adapted_models import spoil, write_adapted

FRAME = np.random.default_rng(1).integers(100, 4000, (45, 67), dtype=np.uint16)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapted(tmp_path_factory.mktemp("models") / "model")


def compute(directory: Path, part: Part, image: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return open_part(directory, part).network(torch.from_numpy(image)[None, None])[0].numpy()


def test_the_networks_are_what_the_verbs_compute(directory: Path) -> None:
    model, image = load(directory, "cpu"), to_unit_range(FRAME)
    (stylized,) = compute(directory, "stylizer", image)
    assert np.abs(stylized - model.stylize(FRAME)).max() < 1e-5
    probabilities = compute(directory, "composition", image)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-5)
    agree = (probabilities.argmax(axis=0) > 0) == (model.segment(FRAME) > 0)
    assert agree.mean() > 0.999
    assert compute(directory, "segmenter", stylized).shape == (2, *FRAME.shape)


@pytest.mark.parametrize("length", [1, 3, 33, 34, 35, 37, 101])
def test_sizes_are_rounded_as_frames_are_prepared(directory: Path, length: int) -> None:
    image = np.linspace(0, 1, length * 20, dtype=np.float32).reshape(length, 20)
    part = open_part(directory, "stylizer")
    sizes = []
    part.network.network.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[-2:]))
    with torch.no_grad():
        part.network(torch.from_numpy(image)[None, None])
    assert tuple(sizes[0]) == part.preprocessing.working_size(image.shape)


def test_a_segmenter_alone_has_no_stylizer(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model", ())
    with pytest.raises(CheckpointError, match=r"hold chain or gen_ba .* got a segmenter alone"):
        open_part(directory, "stylizer")
    assert open_part(directory, "composition").output == "probabilities"


def test_what_keeps_one_object_is_no_network(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model", ("chain", "gen_ba", "single_object"))
    with pytest.raises(
        ConfigError, match=r"composition .* with single_object, got one \(.*model\).* Export its"
    ):
        open_part(directory, "composition")
    assert open_part(directory, "stylizer").output == "stylized"
    assert open_part(directory, "segmenter").output == "probabilities"
    assert set(read_description(directory)["parts"]) == {"chain", "gen_ba", "segmenter", "single_object"}


@pytest.mark.parametrize("how", ["a pickle with its hash", "other weights", "no card"])
def test_a_spoiled_model_is_refused(how: str, tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    spoil(directory, how)
    with pytest.raises(CheckpointError, match=r"model\.|weights"):
        open_part(directory, "composition")
    assert not (directory / "exploded").exists()


def test_a_size_that_depends_on_the_frame_is_refused(tmp_path: Path) -> None:
    described: dict[str, Any] = {"preprocessing": {"working_side_px": 128}, "training_data": {"frames": []}}
    save_model(tmp_path / "segmenter", UNet(n_filters=2, depth=1), **described)
    save_adapted(None, tmp_path / "segmenter", tmp_path / "model", {"chosen": "before"})
    with pytest.raises(ConfigError, match=r"left out for an export, got 128 \(.*model\)\. Export models of"):
        open_part(tmp_path / "model", "composition")


def test_an_altered_record_is_refused(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    (directory / "artifact.json").write_text('{"files": {"adapted.json": "0"}}')
    with pytest.raises(ChecksumError, match="got a change in"):
        check_model(directory)


def test_a_description_that_is_none_is_refused(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    assert set(read_description(directory)["parts"]) == {"chain", "gen_ba", "segmenter"}
    (directory / "adapted.json").write_text("[]")
    with pytest.raises(CheckpointError, match="must describe an adapted model, got a list"):
        read_description(directory)


def test_an_output_is_complete_or_absent(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out.txt"
    with pytest.raises(ZeroDivisionError), new_output(out) as folder:
        (folder / "out.txt").write_text(str(1 / 0))
    assert list(out.parent.iterdir()) == []
    with new_output(out) as folder:
        (folder / "out.txt").write_text("done")
    assert [path.name for path in out.parent.iterdir()] == ["out.txt"]
    with pytest.raises(OutputError, match="must be new, got something that exists"), new_output(out):
        pass
    with pytest.raises(OutputError, match="must be writable, got File exists"), new_output(out / "below"):
        pass
