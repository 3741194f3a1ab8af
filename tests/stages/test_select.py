"""The choice among candidates: who takes part, who wins, and what is never looked at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from biostyle import adapted_model
from biostyle.adapted_model import load_adapted
from biostyle.artifacts import BuildOptions
from biostyle.checkpoints import load_model, save_model
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import PreparedDomain, load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import ConfigError
from biostyle.evidence import Evidence, LabelFreeScore, judge, with_edges
from biostyle.matching.chain import MatchingChain
from biostyle.matching.grid import GridSettings
from biostyle.matching.intensity import Polarity
from biostyle.models.residual_generator import ResidualGenerator
from biostyle.models.single_object import SingleObject
from biostyle.models.unet import UNet
from biostyle.selection import Choice, choose
from biostyle.stages import select as stage
from biostyle.stages.match import match
from biostyle.stages.prepare import prepare
from biostyle.stages.select import chosen_candidate, read_choice, select
from tests.simulated import TINY_SPLIT
from tests.trained import Trained


class Sure(nn.Module):
    """A Segmenter that is sure of the upper gray values of dark frames, or of bright frames only."""

    def __init__(self, of_bright: bool) -> None:
        super().__init__()
        self.of_bright = of_bright

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        gain = torch.where((mean > 0.5) == self.of_bright, 200.0, 0.5)
        return torch.cat([torch.zeros_like(images), gain * (images - mean)], dim=1)


def candidates_of(tiny_run: Path, *names: str) -> dict[str, Path]:
    return {
        name: tiny_run / "candidates" / "zeiss" / name
        for name in names or ("matching", "cyclegan", "retrain")
    }


def race(
    tiny_run: Path,
    out: Path,
    candidates: dict[str, Path] | None = None,
    *,
    prepared: Path | None = None,
) -> Path:
    return select(
        tiny_run / "prepared" / "nikon",
        prepared or tiny_run / "prepared" / "zeiss",
        tiny_run / "segmenter",
        candidates or candidates_of(tiny_run),
        out,
        n_frames=2,
        device="cpu",
        options=BuildOptions(),
    )


def candidate_of(directory: Path, part: str, model: nn.Module, like: Path) -> Path:
    """A candidate directory with one model of the preprocessing of another."""
    _, card = load_model(like)
    save_model(
        directory / part,
        model,
        preprocessing=card["preprocessing"],
        training_data={"frames": ["SIM-B/01_t001"]},
    )
    return directory


def test_every_candidate_and_the_unchanged_frames_are_judged_alike(tiny_run: Path, tmp_path: Path) -> None:
    choice = read_choice(race(tiny_run, tmp_path / "out"))
    assert set(choice) == {"chosen", "verdict", "reason", "n_frames", "candidates", "left_out"}
    assert list(choice["candidates"]) == ["before", "cyclegan", "matching", "retrain"]  # as JSON sorts them
    assert (choice["n_frames"], choice["left_out"]) == (2, {})
    domain = load_prepared(tiny_run / "prepared" / "zeiss")
    images = [domain.read_image(row) for row in domain.frames("train")[1::2]]
    working = load_adapted(None, tiny_run / "segmenter").preprocessing
    for name, candidate in {"before": None, **candidates_of(tiny_run)}.items():
        adapted = load_adapted(candidate, tiny_run / "segmenter")
        judged = judge(adapted.segmenter, images, adapted.preprocessing, torch.device("cpu"))
        judged = with_edges(judged, [working.image_batch(image)[0] for image in images])
        score, found = judged.score, choice["candidates"][name]
        assert found["edge_support"] == judged.edge_support
        assert found["label_free"] == score.value
        assert {key: found[key] for key in score.measures} == score.measures
        assert ("kept" in found) == (name in ("cyclegan", "retrain"))  # the learned ones
    assert choice["candidates"]["matching"]["edge_support"] > 0


def test_edges_are_looked_at_as_the_segmenter_sees_its_own_domain(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At one resolution for all frames of B; on those of A nobody looks."""
    seen: list[int] = []

    def remember(evidence: Evidence, shown: list[torch.Tensor]) -> Evidence:
        seen.append(shown[0].shape[1])
        return with_edges(evidence, shown)

    monkeypatch.setattr(stage, "with_edges", remember)
    like = tiny_run / "segmenter"
    _, card = load_model(like)
    enlarged = {**card["preprocessing"], "working_scale": 2.0}
    first = tmp_path / "first"
    save_model(
        first / "chain", MatchingChain([]), preprocessing=enlarged, training_data=card["training_data"]
    )
    race(tiny_run, tmp_path / "out", {"first": first, **candidates_of(tiny_run, "matching", "retrain")})
    domain = load_prepared(tiny_run / "prepared" / "zeiss")
    assert seen == [domain.rows[0].height] * 4


@pytest.mark.parametrize("inverted_is_known", [False, True])
def test_the_candidate_that_the_segmenter_understands_wins(
    inverted_is_known: bool, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = load_prepared(tiny_run / "prepared" / "zeiss")
    _, card = load_model(tiny_run / "segmenter")
    preprocessing = Preprocessing.model_validate(card["preprocessing"])
    bright = bool(preprocessing.image_batch(domain.read_image(domain.frames("train")[1])).mean() > 0.5)
    original = adapted_model.load_model
    sure = Sure(bright != inverted_is_known)
    monkeypatch.setattr(
        adapted_model,
        "load_model",
        lambda path: (sure, card) if path.name == "segmenter" else original(path),
    )
    inverted = candidate_of(
        tmp_path / "inverted", "chain", MatchingChain([Polarity()]), tiny_run / "segmenter"
    )
    out = race(tiny_run, tmp_path / "out", {"inverted": inverted})
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
    matching = tiny_run / "candidates" / "zeiss" / "matching"
    choice = read_choice(race(tiny_run, tmp_path / "out", {"simple": matching, "elaborate": matching}))
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
    assert len(read) == 2 * 2  # of A and of B


def test_s_a_at_home_is_judged_on_frames_of_a(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    def remember(evidence: object, at_home: Evidence, found_concord: float) -> Choice:
        given.extend([at_home.score, found_concord])
        return choose(evidence, at_home, found_concord)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "choose", remember)
    race(tiny_run, tmp_path / "out")
    domain, home = load_prepared(tiny_run / "prepared" / "nikon"), load_adapted(None, tiny_run / "segmenter")
    images = [domain.read_image(row) for row in domain.frames("train")[1::2]]
    score = judge(home.segmenter, images, home.preprocessing, torch.device("cpu")).score
    concord = json.loads((tiny_run / "candidates" / "zeiss" / "matching" / "concord.json").read_text())
    assert given == [score, concord["concord"]]


@pytest.mark.parametrize(("others", "expected"), [([], 1.0), ([0.7], 0.7), ([0.9, 0.3], 0.3)])
def test_the_smallest_concord_counts(
    others: list[float],
    expected: float,
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    candidates = candidates_of(tiny_run, "cyclegan")
    for number, concord in enumerate(others):
        candidates[f"grid{number}"] = candidate_of(
            tmp_path / f"grid{number}", "chain", MatchingChain([Polarity()]), tiny_run / "segmenter"
        )
        (tmp_path / f"grid{number}" / "concord.json").write_text(json.dumps({"concord": concord}))
    given: list[float] = []

    def remember(evidence: object, at_home: object, found_concord: float) -> Choice:
        given.append(found_concord)
        return choose(evidence, at_home, found_concord)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "choose", remember)
    race(tiny_run, tmp_path / "out", candidates)
    assert given == [expected]


def test_what_keeps_one_object_judges_every_candidate_and_the_unchanged_frames(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first candidate's; a candidate that keeps one object has all of its foreground in it."""
    like = tiny_run / "segmenter"
    inverted = candidate_of(tmp_path / "inverted", "chain", MatchingChain([Polarity()]), like)
    keeping = candidate_of(tmp_path / "keeping", "chain", MatchingChain([]), like)
    corner = torch.zeros(8, 8, dtype=torch.uint8)
    corner[0, 0] = 1
    keepers = [SingleObject.of([mask]) for mask in (torch.ones_like(corner), corner)]
    candidate_of(keeping, "single_object", keepers[0], like)
    last = candidate_of(tmp_path / "last", "chain", MatchingChain([]), like)
    candidate_of(last, "single_object", keepers[1], like)
    homes: list[LabelFreeScore] = []

    def remember(evidence: object, at_home: Evidence, found_concord: float) -> Choice:
        homes.append(at_home.score)
        return choose(evidence, at_home, found_concord)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "choose", remember)
    candidates = {"inverted": inverted, "keeping": keeping, "last": last}
    found = read_choice(race(tiny_run, tmp_path / "out", candidates))["candidates"]
    adapted = load_adapted(None, like)
    scores = []
    for name in ("zeiss", "nikon"):
        domain = load_prepared(tiny_run / "prepared" / name)
        images = [domain.read_image(row) for row in domain.frames("train")[1::2]]
        judged = judge(
            adapted.segmenter, images, adapted.preprocessing, torch.device("cpu"), single_object=keepers[0]
        )
        scores.append(judged.score)
    del found["before"]["edge_support"], found["before"]["relative_area"]
    assert found["before"] == {**scores[0].measures, "label_free": scores[0].value}
    assert homes == [scores[1]]
    assert found["before"]["singleness"] < 1
    assert found["keeping"]["singleness"] == 1
    assert "singleness" in found["inverted"]


@pytest.mark.parametrize(("part", "learned"), [("chain", False), ("gen_ba", True), ("segmenter", True)])
def test_a_candidate_is_learned_if_a_part_of_it_was_trained_on_b(
    part: str, learned: bool, tiny_run: Path, tmp_path: Path
) -> None:
    models = {
        "chain": MatchingChain([Polarity()]),
        "gen_ba": ResidualGenerator(1, 2, 1),
        "segmenter": UNet(n_filters=2, depth=1),
    }
    candidate = candidate_of(tmp_path / "candidate", part, models[part], tiny_run / "segmenter")
    choice = read_choice(race(tiny_run, tmp_path / "out", {"mine": candidate}))
    assert ("kept" in choice["candidates"]["mine"]) == learned
    if part == "gen_ba":  # it begins by changing nothing
        assert choice["candidates"]["mine"]["kept"] == 1
        assert choice["candidates"]["mine"]["label_free"] == choice["candidates"]["before"]["label_free"]


def test_a_candidate_that_gave_up_is_left_out_with_its_reason(tiny_run: Path, tmp_path: Path) -> None:
    for name, content in (("rang", '{"starts": 2, "reason": "It rang."}'), ("silent", None)):
        (tmp_path / name).mkdir()
        if content:
            (tmp_path / name / "alarm.json").write_text(content)
    candidates = candidates_of(tiny_run, "matching") | {name: tmp_path / name for name in ("rang", "silent")}
    choice = read_choice(race(tiny_run, tmp_path / "out", candidates))
    assert choice["left_out"] == {"rang": "It rang.", "silent": "nothing usable was made"}
    assert set(choice["candidates"]) == {"before", "matching"}


@pytest.mark.parametrize("name", ["before", "segmenter", "prepared_a", "prepared_b"])
def test_a_name_that_is_taken_is_refused(name: str, tiny_run: Path, tmp_path: Path) -> None:
    matching = tiny_run / "candidates" / "zeiss" / "matching"
    with pytest.raises(ConfigError, match=rf"a name of its own, got '{name}' \(.*zeiss/matching\)"):
        race(tiny_run, tmp_path / "out", {name: matching})
    assert not (tmp_path / "out").exists()


def test_nothing_is_chosen_before_the_race(tiny_run: Path, tmp_path: Path) -> None:
    assert chosen_candidate(tmp_path / "nothing") == "before"
    choice = tiny_run / "candidates" / "zeiss" / "choice"
    assert chosen_candidate(choice) == json.loads((choice / "choice.json").read_text())["chosen"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["more of A", "noise", "empty frames", "another modality"])
def test_no_harm_is_done(name: str, trained: Trained, tmp_path: Path) -> None:
    """The whole grid, as in the shipped configuration but for the largest scales, finds nothing to adopt.

    Noise, empty frames and more of A were left alone with each of four seeds of the segmenter; the other modality with
    this one and one more, while two others took its disc for a cell.
    """
    prepared_b = trained.domain(name)
    grid = GridSettings(scales=(0.5, 0.7, 1.0, 1.4, 2.0), n_frames=2, n_finalists=6)
    options = BuildOptions()
    matched = match(prepared_b, trained.segmenter, tmp_path / "matching", grid, device="cpu", options=options)
    choice = read_choice(
        select(
            trained.prepared_a,
            prepared_b,
            trained.segmenter,
            {"matching": matched},
            tmp_path / "choice",
            n_frames=2,
            device="cpu",
            options=options,
        )
    )
    assert (choice["chosen"], choice["verdict"]) == ("before", "don't adapt"), choice["reason"]
