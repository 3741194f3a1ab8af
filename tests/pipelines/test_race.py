"""The race alone: which candidates are made, in which order, and what each is made from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from biostyle.adapted_model import load_adapted
from biostyle.artifacts import BuildOptions, fingerprint, read_record
from biostyle.checkpoints import load_model
from biostyle.config import AdaptConfig, CellTrackingConfig, load_config
from biostyle.data.prepared import load_prepared
from biostyle.inference import segment_frame
from biostyle.io.labels import read_labels
from biostyle.io.photographs import read_photograph
from biostyle.metrics.overlap import f_score, pixel_counts
from biostyle.pipelines.race import RaceDirectories, race
from biostyle.stages.predict import predict, result_path
from biostyle.stages.select import read_choice
from biostyle.training.cyclegan import StylizerSettings
from tests.photographs import CONFIG, SHAPE, PhotographRun
from tests.simulated import read_tree
from tests.trained import Trained


@pytest.fixture
def config(tiny_config: Path) -> CellTrackingConfig:
    return load_config(tiny_config)


def hold(
    config: CellTrackingConfig, tiny_run: Path, out: Path, options: BuildOptions | None = None
) -> RaceDirectories:
    """Hold a race for the tiny run's domain B."""
    prepared_a, prepared_b = (tiny_run / "prepared" / name for name in ("nikon", "zeiss"))
    return race(config, prepared_a, prepared_b, tiny_run / "segmenter", out, options or BuildOptions())


def with_s_a(config: CellTrackingConfig, **settings: object) -> CellTrackingConfig:
    changed = StylizerSettings.model_validate({**config.cyclegan_sa.model_dump(), **settings})
    return config.model_copy(update={"cyclegan_sa": changed})


def test_a_race_alone_gives_the_candidates_of_a_run(
    config: CellTrackingConfig, tiny_run: Path, tmp_path: Path
) -> None:
    raced = hold(config, tiny_run, tmp_path)
    assert raced.candidates == {
        name: tmp_path / name
        for name in ("matching", "adabn", "cyclegan", "cyclegan_sa", "retrain", "retrain_rare")
    }
    assert raced.choice == tmp_path / "choice"
    assert read_tree(tmp_path) == read_tree(tiny_run / "candidates" / "zeiss")


@pytest.mark.parametrize(
    "names",
    [
        ("matching",),
        ("retrain", "matching"),
        ("cyclegan_sa", "matching", "cyclegan"),
        ("retrain_rare", "matching", "retrain"),
        ("adabn", "matching"),
    ],
)
def test_only_what_is_wanted_is_made_and_always_the_simplest_first(
    names: tuple[str, ...], config: CellTrackingConfig, tiny_run: Path, tmp_path: Path
) -> None:
    raced = hold(config.model_copy(update={"candidates": names}), tiny_run, tmp_path)
    ranks = ["matching", "adabn", "cyclegan", "cyclegan_sa", "retrain", "retrain_rare"]
    assert list(raced.candidates) == sorted(names, key=ranks.index)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {*names, "choice"}
    assert set(read_choice(raced.choice)["candidates"]) == {"before", *names}


def test_learned_candidates_stand_behind_the_best_chain(tiny_run: Path) -> None:
    candidates = tiny_run / "candidates" / "zeiss"
    learned = ("adabn", "cyclegan", "cyclegan_sa", "retrain", "retrain_rare")
    requests = {name: read_record(candidates / name)["request"] for name in learned}
    inputs = {name: request["inputs"] for name, request in requests.items()}
    assert inputs["adabn"]["matching"] == fingerprint(candidates / "matching")
    assert inputs["cyclegan_sa"]["matching"] == fingerprint(candidates / "matching")
    assert inputs["retrain"]["teacher"] == fingerprint(candidates / "matching")
    assert inputs["retrain"]["rival_1"] == fingerprint(candidates / "adabn")
    assert inputs["retrain"]["rival_2"] == fingerprint(candidates / "cyclegan_sa")
    assert inputs["retrain"]["renderer"] == fingerprint(candidates / "cyclegan_sa")
    plain = fingerprint(candidates / "retrain")
    assert inputs["retrain_rare"] == {**inputs["retrain"], "plain": plain}
    favoured = [requests[name]["settings"]["favour_rare"] for name in ("retrain", "retrain_rare")]
    assert favoured == [False, True]
    assert set(inputs["cyclegan"]) == {"prepared_a", "prepared_b"}  # the seed work's: on frames as they are


def test_without_a_translation_s_b_learns_from_a_as_it_is(
    config: CellTrackingConfig, tiny_run: Path, tmp_path: Path
) -> None:
    """Whether it was not wanted or gave up."""
    rings = with_s_a(config, residual=False, least_agreement=1.0)
    plain = config.model_copy(update={"candidates": ("matching", "adabn", "retrain")})
    made = {
        name: hold(wanted, tiny_run, tmp_path / name) for name, wanted in (("rings", rings), ("plain", plain))
    }
    records = [read_record(raced.candidates["retrain"])["request"] for raced in made.values()]
    assert records[0] == records[1]
    assert not {"rival_2", "renderer"} & records[0]["inputs"].keys()
    choice = read_choice(made["rings"].choice)
    assert list(choice["left_out"]) == ["cyclegan_sa"]
    assert "agreement of the masks before and after translation" in choice["left_out"]["cyclegan_sa"]
    assert set(choice["candidates"]) == {"before", "matching", "adabn", "cyclegan", "retrain", "retrain_rare"}


def test_a_is_rendered_only_where_asked_to(
    config: CellTrackingConfig, tiny_run: Path, tmp_path: Path
) -> None:
    assert config.retrain.rendered  # as everything that can be asked for
    plain = config.retrain.model_copy(update={"rendered": False})
    raced = hold(config.model_copy(update={"retrain": plain}), tiny_run, tmp_path)
    inputs = read_record(raced.candidates["retrain"])["request"]["inputs"]
    assert "renderer" not in inputs
    assert inputs["rival_2"] == fingerprint(raced.candidates["cyclegan_sa"])


def test_a_dry_run_makes_nothing_and_knows_what_would_be_made(
    config: CellTrackingConfig, tiny_run: Path, tmp_path: Path
) -> None:
    options = BuildOptions(dry_run=True)
    raced = hold(config, tiny_run, tmp_path / "new", options)
    assert options.pending == {*raced.candidates.values(), raced.choice}
    assert not (tmp_path / "new").exists()
    options = BuildOptions(dry_run=True)
    hold(config, tiny_run, tiny_run / "candidates" / "zeiss", options)
    assert options.pending == set()


def test_the_masks_of_b_are_not_looked_at(config: CellTrackingConfig, tiny_run: Path, tmp_path: Path) -> None:
    """Of everything a race reads of B, nothing is a mask."""
    prepared = json.loads((tiny_run / "prepared" / "zeiss" / "domain.json").read_text())
    assert prepared["title"] == "ZEISS"
    bare = tmp_path / "bare"
    for path, content in read_tree(tiny_run / "prepared" / "zeiss").items():
        if not path.startswith(("silver/", "gold/", "artifact.json")):
            (bare / path).parent.mkdir(parents=True, exist_ok=True)
            (bare / path).write_bytes(content)
    raced = race(
        config,
        tiny_run / "prepared" / "nikon",
        bare,
        tiny_run / "segmenter",
        tmp_path / "race",
        BuildOptions(),
    )
    assert (raced.choice / "choice.json").read_bytes() == (
        tiny_run / "candidates" / "zeiss" / "choice" / "choice.json"
    ).read_bytes()


@pytest.mark.slow
def test_the_chosen_chain_is_better_where_something_is_to_be_gained(trained: Trained, tmp_path: Path) -> None:
    """A inverted and blurred: the masks of A are still the truth."""
    prepared_b = trained.domain("inverted A")
    config = load_config(
        "adapt", ["candidates=['matching']", "matching.n_frames=2", "device='cpu'"], AdaptConfig
    )
    raced = race(config, trained.prepared_a, prepared_b, trained.segmenter, tmp_path, BuildOptions())
    choice = read_choice(raced.choice)
    assert choice["chosen"] == "matching", choice["reason"]
    domain = load_prepared(prepared_b)
    found = {}
    for name, candidate in {"before": None, **raced.candidates}.items():
        adapted = load_adapted(candidate, trained.segmenter)
        scores = [
            f_score(
                pixel_counts(
                    segment_frame(
                        adapted.segmenter, domain.read_image(row), adapted.preprocessing, torch.device("cpu")
                    ),
                    domain.read_truth(row)[0],
                )
            )
            for row in domain.frames("test")
        ]
        found[name] = sum(scores) / len(scores)
    assert found["matching"] > found["before"] + 0.1
    assert found["matching"] > 0.85


@pytest.mark.slow
def test_a_race_of_photographs_stays_in_colour(photograph_run: PhotographRun, tmp_path: Path) -> None:
    run, options = photograph_run, BuildOptions()
    raced = race(CONFIG, run.a, run.b, run.segmenter, tmp_path, options)
    assert list(raced.candidates) == ["matching", "cyclegan", "cyclegan_sa", "retrain"]
    assert set(read_choice(raced.choice)["candidates"]) == {"before", *raced.candidates}
    domain = load_prepared(run.b)
    for name, candidate in raced.candidates.items():
        out = predict(
            run.b,
            tmp_path / f"{name}_masks",
            segmenter=run.segmenter,
            candidate=candidate,
            device="cpu",
            options=options,
        )
        for row in domain.frames("test"):
            assert read_labels(result_path(out, row)).shape == SHAPE
            assert read_photograph(out / "stylized" / f"{row.frame_id}.tif").shape == (*SHAPE, 3)
    generator, _ = load_model(raced.candidates["cyclegan_sa"] / "gen_ba")
    assert generator.arguments["n_channels"] == 3
    for sample in tmp_path.glob("*/samples/*.png"):
        with Image.open(sample) as file:
            assert file.mode == "RGB"
