"""The search among deterministic chains: what it finds, what it leaves behind, and what it never looks at."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.adapted_model import load_adapted
from biostyle.artifacts import BuildOptions, fingerprint, read_record
from biostyle.checkpoints import load_model
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import PreparedDomain, load_prepared, spread
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import ArtifactMismatchError, ConfigError, ImageError, MaskError
from biostyle.evidence import Evidence, LabelFreeScore, concord, judge, with_edges
from biostyle.inference import segment_frame
from biostyle.io.frames import write_frame
from biostyle.io.labels import labels_to_mask, read_labels
from biostyle.matching.chain import MatchingChain
from biostyle.matching.colour import Reinhard
from biostyle.matching.grid import GridChain, GridSettings
from biostyle.matching.intensity import Polarity
from biostyle.models.single_object import SingleObject
from biostyle.selection import AS_STEEP, AS_SURE, MARGIN, SCORING, STEEP_ENOUGH_TO_ASK
from biostyle.stages import match as stage
from biostyle.stages.match import match, read_concord
from biostyle.stages.predict import predict, result_path
from biostyle.stages.prepare import prepare
from tests.photographs import CONFIG, PhotographRun
from tests.simulated import TINY_SHAPE, TINY_SPLIT

SMALL = GridSettings(scales=(0.5, 1.0), tones=("linear", "square_root"), n_frames=2)


class KnowsOnlyDarkFrames(nn.Module):
    """A Segmenter that is sure of bright spots on black, and unsure of everything in a bright frame."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        gain = torch.where(images.mean(dim=(1, 2, 3), keepdim=True) < 0.5, 100.0, 0.5)
        return torch.cat([torch.zeros_like(images), gain * (images - 0.6)], dim=1)


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    """A prepared domain of dark spots on a bright ground, without any mask."""
    rows, columns = np.mgrid[: TINY_SHAPE[0], : TINY_SHAPE[1]]
    for number in range(8):
        spots = np.sin(rows / 5 + number) * np.sin(columns / 5) > 0.7
        folder = tmp_path / "data" / "BRIGHT" / "01"
        folder.mkdir(parents=True, exist_ok=True)
        write_frame(folder / f"t{number:03d}.tif", np.where(spots, 20, 230 - rows // 8).astype(np.uint8))
    settings = DomainSettings(folder="BRIGHT", title="B")
    return prepare(
        tmp_path / "data", tmp_path / "bright", settings, TINY_SPLIT, annotated=False, options=BuildOptions()
    )


def search(prepared: Path, segmenter: Path, out: Path, settings: GridSettings = SMALL) -> Path:
    return match(prepared, segmenter, out, settings, device="cpu", options=BuildOptions())


def test_inverts_for_a_segmenter_that_is_right_only_on_inverted_frames(
    bright: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, card = load_model(tiny_run / "segmenter")
    monkeypatch.setattr(stage, "load_model", lambda _: (KnowsOnlyDarkFrames(), card))
    out = search(bright, tiny_run / "segmenter", tmp_path / "out")
    table = pd.read_csv(out / "chains.csv")
    inverted = table["chain"].str.contains("inverted")
    assert inverted[0]
    assert table.loc[inverted, "label_free"].min() > table.loc[~inverted, "label_free"].max()
    chain, _ = load_model(out / "chain")
    assert isinstance(chain, MatchingChain)
    assert chain.steps[0] == Polarity()


def test_leaves_every_score_and_the_best_chain_as_a_model(tiny_run: Path, tmp_path: Path) -> None:
    prepared = tiny_run / "prepared" / "zeiss"
    out = search(prepared, tiny_run / "segmenter", tmp_path / "out")
    table = pd.read_csv(out / "chains.csv")
    measures = ["confidence", "agreement", "foreground_fraction", "edge_support", "label_free"]
    assert list(table.columns) == ["chain", "chosen", "round", *measures]
    assert len(table) == 2 * 2 * 2 - 1
    assert (table["round"] == 2).all()  # a grid this small has finalists only
    assert table["label_free"].is_monotonic_decreasing
    chain, card = load_model(out / "chain")
    assert table["chosen"].sum() == 1
    chosen = table[table["chosen"]].iloc[0]
    as_sure = table[table["label_free"] >= table["label_free"].max() - AS_SURE]
    assert chosen["edge_support"] >= AS_STEEP * as_sure["edge_support"].max()
    as_steep = table[table["edge_support"] >= chosen["edge_support"]]
    assert chosen["label_free"] >= as_steep["label_free"].max() - MARGIN
    best = chosen["chain"].split()
    assert isinstance(chain, MatchingChain)
    assert (Polarity() in chain.steps) == ("inverted" in best)
    assert card["preprocessing"]["working_scale"] == float(best[0].removeprefix("x"))
    assert card["training_data"] == {
        "prepared_b": fingerprint(prepared), "frames": ["SIM-B/01_t001", "SIM-B/01_t003"]
    }  # fmt: skip
    record = read_record(out)
    assert record["request"]["settings"]["scoring"] == SCORING
    assert set(record["files"]) == {
        "chains.csv", "concord.json", "chain/model.json", "chain/model.safetensors"
    }  # fmt: skip


def test_every_chain_is_looked_at_once_and_only_the_finalists_on_all_frames(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def count(
        segmenter: nn.Module,
        images: list[np.ndarray],
        preprocessing: Preprocessing,
        *rest: object,
        single_object: SingleObject | None,
    ) -> Evidence:
        assert single_object is None
        looks.append(len(images))
        return judge(segmenter, images, preprocessing, *rest)  # type: ignore[arg-type]

    shown: list[list[tuple[int, ...]]] = []

    def look_closely(evidence: Evidence, frames: list[torch.Tensor]) -> Evidence:
        shown.append([tuple(frame.shape) for frame in frames])
        return with_edges(evidence, frames)

    monkeypatch.setattr(stage, "with_edges", look_closely)
    monkeypatch.setattr(stage, "judge", count)
    grid = SMALL.model_copy(update={"n_finalists": 3})
    out = search(tiny_run / "prepared" / "zeiss", tiny_run / "segmenter", tmp_path / "out", grid)
    assert looks == [1] * 7 + [2] * 4  # the finalists and the unchanged frames
    table = pd.read_csv(out / "chains.csv")
    row = load_prepared(tiny_run / "prepared" / "zeiss").rows[0]
    assert shown == [[(1, row.height, row.width)] * 2] * 4  # at the working scale, whatever theirs is
    assert table["edge_support"].isna().sum() == 4  # finalists alone
    assert list(table["round"]) == [2] * 3 + [1] * 4
    assert table["chain"].is_unique
    assert table["label_free"][:3].is_monotonic_decreasing
    assert table["chosen"][:3].sum() == table["chosen"].sum() == 1


def test_the_concord_of_others_with_the_best_chain_is_kept(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, list[float]]] = []

    def remember(best: Evidence, others: list[Evidence]) -> float:
        asked.append((best.score.value, [found.score.value for found in others]))
        return concord(best, others)

    monkeypatch.setattr(stage, "concord", remember)
    out = search(tiny_run / "prepared" / "zeiss", tiny_run / "segmenter", tmp_path / "out")
    found = json.loads((out / "concord.json").read_text())
    assert list(found) == ["concord"]
    assert 0 <= found["concord"] <= 1
    (best, others) = asked[0]
    assert others == sorted(others, reverse=True)
    assert read_concord(out) == found["concord"]
    assert read_concord(tmp_path) == 1  # what no search made is in concord with itself
    table = pd.read_csv(out / "chains.csv")
    assert best == pytest.approx(table["label_free"][table["chosen"]].item())
    steep = table["edge_support"] >= STEEP_ENOUGH_TO_ASK * table["edge_support"][table["chosen"]].item()
    assert others == pytest.approx(list(table["label_free"][~table["chosen"] & steep]))


@pytest.mark.parametrize(
    ("inverted", "fraction", "best_fraction", "steepness", "expected"),
    [
        (True, 0.6, 0.05, 1.0, False),
        (False, 0.6, 0.05, 1.0, True),  # the same polarity: it disagrees
        (True, 0.4, 0.05, 1.0, True),  # not the background
        (True, 0.7, 0.6, 1.0, True),  # the best one itself calls most of the pixels foreground
        (False, 0.05, 0.05, STEEP_ENOUGH_TO_ASK, True),
        (False, 0.05, 0.05, 0.99 * STEEP_ENOUGH_TO_ASK, False),
    ],
)
def test_who_sees_the_background_or_no_edges_is_not_asked(
    inverted: bool, fraction: float, best_fraction: float, steepness: float, expected: bool
) -> None:
    best, chain = GridChain(2.8, False, "contrast"), GridChain(1.4, inverted, "contrast")
    evidence = {
        one: Evidence(LabelFreeScore(0.9, 0.9, share), (), edge_support=2 * steep)
        for one, share, steep in ((best, best_fraction, 1.0), (chain, fraction, steepness))
    }
    assert stage._is_asked(chain, best, evidence) == expected
    assert not stage._is_asked(best, best, evidence)


def test_a_chain_whose_contours_lie_on_flatter_edges_is_not_kept(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However sure the segmenter is behind it."""
    everywhere = Evidence(LabelFreeScore(0.9, 0.9, 0.2), (torch.ones(1, 1, dtype=torch.bool),), False, 1.2)
    flat = dataclasses.replace(everywhere, score=LabelFreeScore(0.94, 0.94, 0.2), edge_support=1.0)

    def look(adapted: AdaptedSegmenter, *_: object, **__: object) -> Evidence:
        return flat if Polarity() in adapted.stylizer_ba.steps else everywhere  # type: ignore[operator]

    monkeypatch.setattr(stage, "judge", look)
    monkeypatch.setattr(stage, "with_edges", lambda found, _: found)
    out = search(tiny_run / "prepared" / "zeiss", tiny_run / "segmenter", tmp_path / "out")
    table = pd.read_csv(out / "chains.csv")
    assert table["chain"][0].count("inverted") == 1  # still the one with the best score
    assert list(table.loc[table["chosen"], "chain"]) == ["x1 square_root"]


@pytest.mark.parametrize(
    ("inverted_support", "expected"), [(1.3, "x1 square_root"), (1.4, "x1 inverted linear")]
)
def test_of_chains_on_as_steep_edges_that_score_alike_the_one_that_changes_least_is_kept(
    inverted_support: float, expected: str, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, masks = LabelFreeScore(0.9, 0.9, 0.2), (torch.ones(1, 1, dtype=torch.bool),)

    def look(adapted: AdaptedSegmenter, *_: object, **__: object) -> Evidence:
        inverted = Polarity() in adapted.stylizer_ba.steps  # type: ignore[operator]
        return Evidence(score, masks, edge_support=inverted_support if inverted else 1.2)

    monkeypatch.setattr(stage, "judge", look)
    monkeypatch.setattr(stage, "with_edges", lambda found, _: found)
    out = search(tiny_run / "prepared" / "zeiss", tiny_run / "segmenter", tmp_path / "out")
    table = pd.read_csv(out / "chains.csv")
    assert list(table.loc[table["chosen"], "chain"]) == [expected]


def test_masks_of_b_are_never_looked_at(
    tiny_data: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "SIM-B" / "01_ST")
    settings = DomainSettings(folder="SIM-B", title="ZEISS")
    bare = prepare(data, tmp_path / "bare", settings, TINY_SPLIT, annotated=False, options=BuildOptions())
    assert not list(bare.rglob("*silver*"))

    def refuse(*_: object) -> None:
        raise AssertionError("truth was read")

    monkeypatch.setattr(PreparedDomain, "read_truth", refuse)
    with_masks, without = (
        search(prepared, tiny_run / "segmenter", tmp_path / name)
        for name, prepared in (("with", tiny_run / "prepared" / "zeiss"), ("without", bare))
    )
    assert (with_masks / "chains.csv").read_bytes() == (without / "chains.csv").read_bytes()
    cards = [json.loads((out / "chain" / "model.json").read_text()) for out in (with_masks, without)]
    for card in cards:
        card["training_data"].pop("prepared_b")  # names the directory that was read
    assert cards[0] == cards[1]


@pytest.mark.parametrize("scale", [0.5, 0.47, 1.4])
def test_masks_come_back_on_bs_own_grid(scale: float, tiny_run: Path, tmp_path: Path) -> None:
    """At 0.47, multiplying by the scale and dividing by it again does not give back 1."""
    prepared, segmenter = tiny_run / "prepared" / "zeiss", tiny_run / "segmenter"
    grid = GridSettings(scales=(scale,), tones=("linear",), n_frames=1)
    matched = search(prepared, segmenter, tmp_path / "matched", grid)
    out = predict(
        prepared,
        tmp_path / "masks",
        segmenter=segmenter,
        candidate=matched,
        device="cpu",
        options=BuildOptions(),
    )
    model, card = load_model(segmenter)
    chain, of_chain = load_model(matched / "chain")
    preprocessing = Preprocessing.model_validate(of_chain["preprocessing"])
    assert preprocessing == Preprocessing.model_validate(card["preprocessing"]).scaled(scale)
    domain = load_prepared(prepared)
    for row in domain.frames("test"):
        mask = labels_to_mask(read_labels(result_path(out, row)))
        assert mask.shape == TINY_SHAPE
        adapted = AdaptedSegmenter(model, chain)
        expected = segment_frame(adapted, domain.read_image(row), preprocessing, torch.device("cpu"))
        assert np.array_equal(mask, expected)
    assert len(list((out / "stylized").iterdir())) == 3


def test_scales_that_do_not_fit_are_left_out(tiny_run: Path, tmp_path: Path) -> None:
    grid = GridSettings(scales=(0.25, 1.0, 2.8), tones=("linear",), n_frames=1, largest_side_px=100)
    out = search(tiny_run / "prepared" / "zeiss", tiny_run / "segmenter", tmp_path / "out", grid)
    assert list(pd.read_csv(out / "chains.csv")["chain"]) == ["x1 inverted linear"]


def test_a_grid_of_which_nothing_fits_is_named(tiny_run: Path, tmp_path: Path) -> None:
    prepared, out = tiny_run / "prepared" / "zeiss", tmp_path / "out"
    grid = GridSettings(scales=(0.25, 4.0), largest_side_px=200)
    with pytest.raises(
        ConfigError,
        match=r"bring frames of 72 x 80 px at working scale 1 to sides of 32 to 200 px, got \[0\.25, 4\.0\] \(.*zeiss\)",
    ):
        search(prepared, tiny_run / "segmenter", out, grid)
    assert not out.exists()


def test_is_made_once_and_refuses_another_grid(tiny_run: Path, tmp_path: Path) -> None:
    arguments = tiny_run / "prepared" / "zeiss", tiny_run / "segmenter", tmp_path / "out"
    grid = GridSettings(scales=(1.0,), tones=("linear",), n_frames=1)
    made = (search(*arguments, grid) / "artifact.json").stat().st_mtime_ns
    assert (search(*arguments, grid) / "artifact.json").stat().st_mtime_ns == made
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['n_frames'\]"):
        search(*arguments, grid.model_copy(update={"n_frames": 2}))


def test_tones_are_learned_from_training_photographs_of_a(
    photograph_run: PhotographRun, tmp_path: Path
) -> None:
    grid = CONFIG.matching.model_copy(update={"scales": (1.0,), "tones": ("reinhard",)})
    a, b = load_prepared(photograph_run.a), load_prepared(photograph_run.b)
    out = match(
        photograph_run.b,
        photograph_run.segmenter,
        tmp_path / "out",
        grid,
        prepared_a=photograph_run.a,
        device="cpu",
        options=BuildOptions(),
    )
    chain, card = load_model(out / "chain")
    images = read_images(a, a.frames("train"), CONFIG.preprocessing)
    assert isinstance(chain, MatchingChain)
    assert chain.steps == (Reinhard.of([image[None] for image in images]),)
    seen = [*b.global_ids(spread(b.frames("train"), 2)), *a.global_ids(a.frames("train"))]
    assert card["training_data"]["frames"] == seen
    assert set(read_record(out)["request"]["inputs"]) == {"prepared_a", "prepared_b", "segmenter"}


def test_a_is_no_input_where_no_tone_is_learned_from_it(tiny_run: Path, tmp_path: Path) -> None:
    record = read_record(search(tiny_run / "prepared" / "zeiss", tiny_run / "segmenter", tmp_path / "out"))
    assert set(record["request"]["inputs"]) == {"prepared_b", "segmenter"}


def test_tones_cannot_be_learned_without_a(photograph_run: PhotographRun, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"got \['reinhard', 'lab_histogram'\]\. Give a prepared domain A"):
        search(photograph_run.b, photograph_run.segmenter, tmp_path / "out", CONFIG.matching)


def test_colours_cannot_be_matched_in_gray_frames(tiny_run: Path, tmp_path: Path) -> None:
    grid = SMALL.model_copy(update={"tones": ("reinhard",)})
    prepared_a, prepared_b = (tiny_run / "prepared" / name for name in ("nikon", "zeiss"))
    options = BuildOptions()
    with pytest.raises(ImageError, match=r"3 channels .* got 1\."):
        match(
            prepared_b,
            tiny_run / "segmenter",
            tmp_path / "out",
            grid,
            prepared_a=prepared_a,
            device="cpu",
            options=options,
        )


def test_a_working_side_decides_which_scales_fit(photograph_run: PhotographRun, tmp_path: Path) -> None:
    """Photographs of 64 x 48 px are 48 x 36 px at the working scale."""
    grid = GridSettings(
        scales=(0.7, 1.4, 2.8), tones=("linear",), polarities=("upright",), largest_side_px=70
    )
    out = search(photograph_run.b, photograph_run.segmenter, tmp_path / "out", grid)
    assert list(pd.read_csv(out / "chains.csv")["chain"]) == ["x1.4 linear"]


ONE_OBJECT = GridSettings(
    scales=(1.0,), polarities=("upright",), tones=("linear",), n_frames=2, single_object=True
)


def search_for_one(prepared: Path, segmenter: Path, out: Path, prepared_a: Path | None) -> Path:
    return match(
        prepared, segmenter, out, ONE_OBJECT, prepared_a=prepared_a, device="cpu", options=BuildOptions()
    )


def test_where_images_show_one_object_what_keeps_it_is_learned_from_masks_of_a(
    photograph_run: PhotographRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, read, original = photograph_run, set(), PreparedDomain.read_truth
    a, b = load_prepared(run.a), load_prepared(run.b)

    def remember(self: PreparedDomain, *arguments: object) -> object:
        read.add(self.folder)
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PreparedDomain, "read_truth", remember)
    out = search_for_one(run.b, run.segmenter, tmp_path / "out", run.a)
    assert read == {a.folder}
    keeper, card = load_model(out / "single_object")
    expected = SingleObject.of(read_masks(a, a.with_truth("train"), CONFIG.preprocessing))
    assert torch.equal(keeper.often, expected.often)  # type: ignore[arg-type]
    rows = spread(b.frames("train"), 2)
    assert card["training_data"]["frames"] == [*b.global_ids(rows), *a.global_ids(a.frames("train"))]
    request = read_record(out)["request"]
    assert request["settings"]["single_object"] is True
    assert set(request["inputs"]) == {"prepared_a", "prepared_b", "segmenter"}

    table = pd.read_csv(out / "chains.csv")
    assert list(table["chain"]) == ["x1 linear"]  # what changes nothing, but for what is kept
    model, _ = load_model(run.segmenter)
    images = [b.read_image(row) for row in rows]
    score = judge(model, images, CONFIG.preprocessing, torch.device("cpu"), single_object=expected).score
    assert table["singleness"][0] == pytest.approx(score.singleness)
    assert table["label_free"][0] == pytest.approx(score.value)
    adapted = load_adapted(out, run.segmenter)
    batch = CONFIG.preprocessing.image_batch(images[0])
    assert torch.equal(adapted.segmenter(batch), expected(model(batch)))


def test_where_images_may_show_several_objects_nothing_is_said_of_one(tiny_run: Path, tmp_path: Path) -> None:
    out = search(tiny_run / "prepared" / "zeiss", tiny_run / "segmenter", tmp_path / "out")
    assert not (out / "single_object").exists()
    assert "singleness" not in pd.read_csv(out / "chains.csv").columns
    assert "single_object" not in read_record(out)["request"]["settings"]


def test_one_object_cannot_be_kept_without_a(photograph_run: PhotographRun, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"single_object must be false .* got true\. Give a prepared domain A"
    ):
        search_for_one(photograph_run.b, photograph_run.segmenter, tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


def test_one_object_cannot_be_kept_without_masks_of_a(bright: Path, tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MaskError, match=r"masks .* at least one, got 0\. Annotate images of A, or switch off"
    ):
        search_for_one(tiny_run / "prepared" / "zeiss", tiny_run / "segmenter", tmp_path / "out", bright)
    assert not (tmp_path / "out").exists()
