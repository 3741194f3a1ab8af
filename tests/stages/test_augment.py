"""Augmentation as a candidate: trained on A as it is and as it is rendered, with A's masks, and with nothing of B."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from biostyle.adapted_model import load_adapted
from biostyle.artifacts import BuildOptions
from biostyle.checkpoints import read_card
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepared import load_prepared
from biostyle.stages.augment import augment
from biostyle.stages.retrain import render
from biostyle.stages.train_stylizer import train_stylizer
from biostyle.training import retraining
from tests.photographs import CONFIG, PhotographRun


@pytest.fixture(scope="module")
def renderer(photograph_run: PhotographRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("renderer") / "cyclegan"
    return train_stylizer(
        photograph_run.a,
        photograph_run.b,
        out,
        CONFIG.cyclegan,
        CONFIG.preprocessing,
        seed=0,
        device="cpu",
        options=BuildOptions(),
    )


def make(run: PhotographRun, renderer: Path, out: Path) -> Path:
    return augment(
        run.a, run.segmenter, renderer, out, CONFIG.retrain, seed=0, device="cpu", options=BuildOptions()
    )


def test_s_b_stands_alone_and_knows_all_it_was_made_from(
    photograph_run: PhotographRun, renderer: Path, tmp_path: Path
) -> None:
    out = make(photograph_run, renderer, tmp_path / "augmented")
    adapted = load_adapted(out, photograph_run.segmenter)
    assert adapted.stylizer is None
    assert adapted.preprocessing == CONFIG.preprocessing
    a, b = load_prepared(photograph_run.a), load_prepared(photograph_run.b)
    held_back = a.global_ids(a.frames("train") + a.frames("validation"))
    assert set(adapted.frames) == {*held_back, *b.global_ids(b.frames("train"))}
    assert 0 < read_card(out / "segmenter")["training_data"]["threshold"] < 1


def test_both_looks_are_trained_on_with_the_masks_of_a(
    photograph_run: PhotographRun, renderer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def remember(network: torch.nn.Module, annotated_a: Any, taught_b: Any, *_: Any, **__: Any) -> Any:
        given.update(a=annotated_a, b=taught_b)
        return network

    monkeypatch.setattr(retraining, "retrain", remember)
    make(photograph_run, renderer, tmp_path / "augmented")
    domain = load_prepared(photograph_run.a)
    rows = domain.frames("train")
    images = read_images(domain, rows, CONFIG.preprocessing)
    masks = read_masks(domain, rows, CONFIG.preprocessing)
    rendered = render(renderer, images, torch.device("cpu"))
    for found, expected in (
        (given["a"][0], images),
        (given["a"][1], masks),
        (given["b"][0], rendered),
        (given["b"][1], [mask.float() for mask in masks]),
    ):
        assert len(found) == len(expected)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert not torch.equal(rendered[0], images[0])
