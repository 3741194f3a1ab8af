"""Tests of biostyle.models.foreign."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.errors import CheckpointError
from biostyle.models.foreign import ForeignSegmenter, is_entry, open_foreign, try_segmenter
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.unet import UNet
from tests.foreign_segmenters import ENTRY, Halving, Smooth, write_exported, write_torchscript

HERE = "tests.foreign_segmenters"


def test_torchscript_is_a_segmenter(tmp_path: Path) -> None:
    segmenter = open_foreign(str(write_torchscript(tmp_path / "smooth.pt")))
    images = torch.rand(2, 1, 33, 40)
    logits = segmenter(images)
    assert logits.shape == (2, 2, 33, 40)
    assert logits.dtype == torch.float32
    assert not logits[:, 0].any()  # one logit of foreground became two classes
    torch.testing.assert_close(logits[:, 1:], Smooth()(images))
    assert (segmenter.architecture, segmenter.differentiable) == ("torchscript", True)
    assert segmenter.arguments == {"multiple": 1}


@pytest.mark.slow
def test_an_exported_program_is_a_segmenter(tmp_path: Path) -> None:
    network = Halving()
    segmenter = open_foreign(str(write_exported(tmp_path / "halving.pt2", network)), multiple=2)
    images = torch.rand(1, 1, 35, 40)
    assert segmenter(images).shape == (1, 2, 35, 40)
    torch.testing.assert_close(segmenter(images[..., :34, :]), network(images[..., :34, :]))
    assert (segmenter.architecture, segmenter.differentiable) == ("exported_program", True)
    adapted = AdaptedSegmenter(segmenter, nn.Identity()).train().eval()  # no mode can be set inside
    assert torch.equal(adapted(images), segmenter(images))
    assert not any(parameter.requires_grad for parameter in adapted.parameters())


def test_numpy_in_the_middle_stops_gradients() -> None:
    segmenter = open_foreign(ENTRY)
    assert not segmenter.differentiable
    assert segmenter.arguments == {"entry": ENTRY, "multiple": 1}
    images = torch.tensor([[[[0.2, 0.8], [0.6, 0.1]]]])
    assert segmenter(images).argmax(dim=1).tolist() == [[[0, 1], [1, 0]]]


def test_comparing_stops_gradients_too() -> None:
    class Step(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images > 0.5) * 8.0 - 4.0

    assert not try_segmenter(ForeignSegmenter(Step(), "entry", "here"), "here")


def test_images_are_padded_and_scores_cropped() -> None:
    segmenter = ForeignSegmenter(Halving(), "entry", "here", multiple=2)
    images = torch.rand(1, 1, 13, 10)
    padded = torch.cat([images, images[..., 11:12, :]], dim=2)
    torch.testing.assert_close(segmenter(images), segmenter.network(padded)[..., :13, :])
    with pytest.raises(
        CheckpointError, match=r"\(1, 'K', 13, 10\), got \(1, 2, 14, 10\) \(here\)\. Pass --multiple"
    ):
        ForeignSegmenter(Halving(), "entry", "here")(images)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("Probabilities", "before sigmoid or softmax, got values from 0"),
        ("Labels", "floating-point scores, got torch.int64"),
        ("Cropping", "(1, 'K', 128, 128), got (1, 1, 124, 124)"),
        ("Flat", "(1, 'K', 128, 128), got (1, 128, 128)"),
        ("Undefined", "finite scores, got 16384 NaN"),
        ("Several", "one tensor, got dict"),
        ("Moody", "the same scores for the same image, got a difference of 0."),
        ("Failing", "images of shape (1, 1, 128, 128), got KeyError: 'colour'"),
        ("Halving", "(2, 'K', 131, 166), got (2, 2, 132, 166)"),
        ("give_a_number", "must return a torch.nn.Module, got int"),
        ("nothing", "got AttributeError: module 'tests.foreign_segmenters' has no attribute 'nothing'"),
    ],
)
def test_what_is_no_segmenter_is_refused(network: str, said: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
        open_foreign(f"{HERE}:{network}")
    assert f"({HERE}:{network})" in str(caught.value)


def test_memory_that_runs_out_is_not_called_a_bad_segmenter() -> None:
    class Hungry(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        ForeignSegmenter(Hungry(), "entry", "here")(torch.rand(1, 1, 8, 8))


def test_our_own_networks_can_be_tried() -> None:
    assert try_segmenter(UNet(n_filters=2, depth=1).eval(), "unet")
    with pytest.raises(CheckpointError, match=r"at least 2 classes, got 1 \(generator\)"):
        try_segmenter(ResnetGenerator(n_filters=2, n_blocks=1).eval(), "generator")
    with pytest.raises(
        CheckpointError, match=r"images of shape \(1, 1, 128, 128\), got .*3 channels.* \(colour\)"
    ):
        try_segmenter(UNet(3, n_filters=2, depth=1).eval(), "colour")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"got No such file or directory \(.*nothing\.pt\)"):
        open_foreign(str(tmp_path / "nothing.pt"))


def test_entries_are_told_from_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_entry("a.b:c")
    assert not is_entry("C:\\models\\a.pt")
    Path("a.b:c").touch()
    assert not is_entry("a.b:c")
