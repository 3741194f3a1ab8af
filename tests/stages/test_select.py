"""The choice among candidates: who takes part, who wins, and what is never looked at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from biostyle.artifacts import BuildOptions
from biostyle.checkpoints import load_model, save_model
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import PreparedDomain, load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError, ConfigError
from biostyle.matching.chain import MatchingChain
from biostyle.matching.intensity import Polarity
from biostyle.stages import select as stage
from biostyle.stages.match import score_on
from biostyle.stages.predict import load_stylizer
from biostyle.stages.prepare import prepare
from biostyle.stages.select import chosen_candidate, read_choice, select
from tests.simulated import TINY_SPLIT


class Sure(nn.Module):
    """A Segmenter that is sure of the upper gray values of dark frames, or of bright frames only."""

    def __init__(self, of_bright: bool) -> None:
        super().__init__()
        self.of_bright = of_bright

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        gain = torch.where((mean > 0.5) == self.of_bright, 200.0, 0.5)
        return torch.cat([torch.zeros_like(images), gain * (images - mean)], dim=1)


def race(tiny_run: Path, out: Path, *, prepared: Path | None = None, **stylizers: Path) -> Path:
    return select(
        prepared or tiny_run / "prepared" / "zeiss",
        tiny_run / "segmenter",
        stylizers
        or {"matching": tiny_run / "matching" / "zeiss", "cyclegan": tiny_run / "stylizer" / "zeiss"},
        out,
        n_frames=2,
        device="cpu",
        options=BuildOptions(),
    )


def test_every_candidate_and_the_unchanged_frames_are_scored_alike(tiny_run: Path, tmp_path: Path) -> None:
    choice = read_choice(race(tiny_run, tmp_path / "out"))
    assert set(choice) == {"chosen", "verdict", "reason", "n_frames", "candidates"}
    assert set(choice["candidates"]) == {"before", "matching", "cyclegan"}
    assert choice["n_frames"] == 2
    domain = load_prepared(tiny_run / "prepared" / "zeiss")
    model, card = load_model(tiny_run / "segmenter")
    rows = domain.frames("train")[1::2]
    preprocessing = Preprocessing.model_validate(card["preprocessing"])
    before = score_on(model, domain, rows, preprocessing, torch.device("cpu"))
    assert choice["candidates"]["before"] == {**vars(before), "label_free": before.value}


@pytest.mark.parametrize("inverted_is_known", [False, True])
def test_the_candidate_that_the_segmenter_understands_wins(
    inverted_is_known: bool, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = load_prepared(tiny_run / "prepared" / "zeiss")
    _, card = load_model(tiny_run / "segmenter")
    preprocessing = Preprocessing.model_validate(card["preprocessing"])
    bright = bool(preprocessing.image_batch(domain.read_image(domain.frames("train")[1])).mean() > 0.5)
    monkeypatch.setattr(stage, "load_model", lambda _: (Sure(bright != inverted_is_known), card))
    save_model(
        tmp_path / "inverted" / "chain",
        MatchingChain([Polarity()]),
        preprocessing=card["preprocessing"],
        training_data={"frames": []},
    )
    out = race(tiny_run, tmp_path / "out", inverted=tmp_path / "inverted")
    assert chosen_candidate(out) == ("inverted" if inverted_is_known else "before")
    assert (read_choice(out)["verdict"] == "don't adapt") == (not inverted_is_known)


def test_masks_of_b_are_never_looked_at(
    tiny_data: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "SIM-B" / "01_ST")
    settings = DomainSettings(folder="SIM-B", title="ZEISS")
    bare = prepare(data, tmp_path / "bare", settings, TINY_SPLIT, annotated=False, options=BuildOptions())

    def refuse(*_: object) -> None:
        raise AssertionError("truth was read")

    monkeypatch.setattr(PreparedDomain, "read_truth", refuse)
    with_masks, without = (
        race(tiny_run, tmp_path / "with"),
        race(tiny_run, tmp_path / "without", prepared=bare),
    )
    assert (with_masks / "choice.json").read_bytes() == (without / "choice.json").read_bytes()


def test_the_order_of_the_candidates_decides_a_tie(tiny_run: Path, tmp_path: Path) -> None:
    matching = tiny_run / "matching" / "zeiss"
    choice = read_choice(race(tiny_run, tmp_path / "out", simple=matching, elaborate=matching))
    assert choice["candidates"]["simple"] == choice["candidates"]["elaborate"]
    assert choice["chosen"] != "elaborate"


def test_test_frames_play_no_part(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = PreparedDomain.read_image

    def remember(self: PreparedDomain, row: object) -> object:
        read.append(row.split)  # type: ignore[attr-defined]
        return original(self, row)  # type: ignore[arg-type]

    monkeypatch.setattr(PreparedDomain, "read_image", remember)
    race(tiny_run, tmp_path / "out")
    assert set(read) == {"train"}
    assert len(read) == 3 * 2


@pytest.mark.parametrize("name", ["before", "segmenter", "prepared_b"])
def test_a_name_that_is_taken_is_refused(name: str, tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"a name of its own, got '{name}' \(.*matching/zeiss\)"):
        race(tiny_run, tmp_path / "out", **{name: tiny_run / "matching" / "zeiss"})
    assert not (tmp_path / "out").exists()


def test_a_directory_without_stylizer_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"got no model\.json \(.*segmenter/gen_ba\)"):
        race(tiny_run, tmp_path / "out", wrong=tiny_run / "segmenter")


def test_a_stylizer_directory_holds_a_chain_or_a_generator(tiny_run: Path) -> None:
    for directory, kind in (("matching", "MatchingChain"), ("stylizer", "ResnetGenerator")):
        stylizer, preprocessing, frames = load_stylizer(tiny_run / directory / "zeiss")
        assert type(stylizer).__name__ == kind
        assert isinstance(preprocessing, Preprocessing)
        assert all(frame.startswith(("SIM-A/", "SIM-B/")) for frame in frames)


def test_nothing_is_chosen_before_the_race(tiny_run: Path, tmp_path: Path) -> None:
    assert chosen_candidate(tmp_path / "nothing") == "before"
    choice = json.loads((tiny_run / "choice" / "zeiss" / "choice.json").read_text())
    assert chosen_candidate(tiny_run / "choice" / "zeiss") == choice["chosen"]
