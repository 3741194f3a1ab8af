"""The verbs of single stages: chained by hand they make what ``run`` makes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Invoke
from tests.simulated import read_tree


def test_the_verbs_chained_by_hand_give_the_bytes_of_run(
    tiny_run: Path, tiny_data: Path, tiny_config: Path, biostyle: Invoke, tmp_path: Path
) -> None:
    config = ("--config", tiny_config)

    def call(verb: str, *arguments: str | Path, out: str) -> Path:
        result = biostyle(verb, *arguments, "-o", tmp_path / out)
        assert result.exit_code == 0, result.output
        return tmp_path / out

    prepared = {
        name: call("prepare", "--data-root", tiny_data, "--domain", name, *config, out=f"prepared/{name}")
        for name in ("nikon", "zeiss", "artificial")
    }
    segmenter = call("train-segmenter", prepared["nikon"], *config, out="segmenter")
    models = ("--segmenter", segmenter)
    domains = (prepared["nikon"], prepared["zeiss"])
    made_in = "candidates/zeiss"
    matched = call("match", prepared["zeiss"], *models, *config, out=f"{made_in}/matching")
    behind = (*models, "--matching", matched)
    translated = call("train-stylizer", *domains, *behind, *config, out=f"{made_in}/cyclegan_sa")
    adapted = call("adapt-statistics", *domains, *behind, *config, out=f"{made_in}/adabn")
    rivals = ("--rival", adapted, "--rival", translated)
    learning = (*models, "--teacher", matched, *rivals, "--renderer", translated)
    plain = call("retrain", *domains, *learning, *config, out=f"{made_in}/retrain")
    candidates = {
        "matching": matched,
        "adabn": adapted,
        "cyclegan": call("train-stylizer", *domains, *config, out=f"{made_in}/cyclegan"),
        "cyclegan_sa": translated,
        "retrain": plain,
        "retrain_rare": call(
            "retrain", *domains, *learning, "--favour-rare", plain, *config, out=f"{made_in}/retrain_rare"
        ),
    }
    named = [word for name, path in candidates.items() for word in ("--candidate", f"{name}={path}")]
    choice = call("select", *domains, *models, *named, *config, out=f"{made_in}/choice")
    before = call("predict", prepared["zeiss"], *models, out="predictions/zeiss/before")
    predictions = {"before": before} | {
        name: call(
            "predict", prepared["zeiss"], *models, "--candidate", path, out=f"predictions/zeiss/{name}"
        )
        for name, path in candidates.items()
    }
    after = predictions[json.loads((choice / "choice.json").read_text())["chosen"]]
    made, expected = read_tree(tmp_path), read_tree(tiny_run)
    assert {path: expected[path] for path in made} == made
    assert len(made) > 80

    truth = tmp_path / "truth"
    truth.mkdir()
    for number in (5, 6, 7):
        shutil.copy(tiny_data / "SIM-B" / "01_ST" / "SEG" / f"man_seg{number:03d}.tif", truth)
    images = ("--images", tiny_data / "SIM-B", "--block-length", "2")
    report = call("report", before, after, truth, *images, out="report")
    summary, of_run = (
        json.loads((folder / "summary.json").read_text())["domains"]
        for folder in (report, tiny_run / "report")
    )
    for row in ("before", "after"):
        for score in ("f_score", "jaccard", "precision", "recall", "pooled"):
            assert summary["images"][row][score] == of_run["zeiss"][row][score]
    assert summary["images"]["difference"]["value"] == of_run["zeiss"]["difference"]["value"]


def test_a_second_call_does_nothing(tiny_config: Path, biostyle: Invoke, run_copy: Path) -> None:
    prepared = run_copy / "prepared" / "nikon"
    arguments = ("train-segmenter", prepared, "--config", tiny_config, "-o", run_copy / "segmenter")
    result = biostyle(*arguments)
    assert result.exit_code == 0
    assert result.stderr.split() == ["segmenter", "up", "to", "date"]
    assert result.stdout == f"{run_copy / 'segmenter'}\n"
    refused = biostyle(*arguments, "--seed", "5", "--set", "segmenter.n_steps=3")
    assert refused.exit_code == 3
    assert refused.stderr.startswith(
        f"ArtifactMismatchError: {run_copy / 'segmenter'} was made with other settings; "
        "they differ in ['seed', 'training.n_steps']. "
    )


def test_the_current_folder_is_no_place_to_make_anything_in(
    tiny_data: Path, tiny_config: Path, biostyle: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = biostyle(
        "prepare", "--data-root", tiny_data, "--domain", "zeiss", "--config", tiny_config, "-o", "."
    )
    assert result.exit_code == 3
    assert f"must be new or a directory made by biostyle, got something else ({tmp_path})" in result.stderr


def test_a_seed_no_generator_can_hold_is_refused(tiny_config: Path, biostyle: Invoke, tmp_path: Path) -> None:
    result = biostyle(
        "train-segmenter", "x", "--config", tiny_config, "--seed", 2**64, "-o", tmp_path / "out"
    )
    assert result.exit_code == 3
    assert f"seed must be less than or equal to {2**63 - 1}, got {2**64}" in result.stderr


def test_the_configured_device_is_used(
    tiny_run: Path, tiny_config: Path, biostyle: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    prepared = tiny_run / "prepared"
    config = ("--config", tiny_config, "--set", "device=cuda", "-o", tmp_path / "out")
    for arguments in (
        ("train-segmenter", prepared / "nikon", *config),
        ("train-stylizer", prepared / "nikon", prepared / "zeiss", *config),
    ):
        result = biostyle(*arguments)
        assert result.exit_code == 3
        assert "got 'cuda' without a CUDA GPU. Use --device cpu." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("prepare", "--data-root", ".", "--domain", "zeis"), "Did you mean 'zeiss'?"),
        (
            ("prepare", "--data-root", "nowhere", "--domain", "zeiss"),
            "ImageError: data set folder must exist",
        ),
        (("train-segmenter", "nowhere"), "DataError: input must exist, got nothing there (nowhere)"),
        (
            ("train-stylizer", "nowhere", "nowhere"),
            "DataError: input must exist, got nothing there (nowhere)",
        ),
        (
            ("train-stylizer", "nowhere", "nowhere", "--segmenter", "nowhere", "--matching", "nowhere"),
            "DataError: input must exist, got nothing there (nowhere)",
        ),
        (
            ("retrain", "nowhere", "nowhere", "--segmenter", "nowhere", "--teacher", "nowhere"),
            "DataError: input must exist, got nothing there (nowhere)",
        ),
        (("predict", "nowhere", "--segmenter", "nowhere"), "got nothing there (nowhere)"),
        (("match", "nowhere", "--segmenter", "nowhere"), "got nothing there (nowhere)"),
        (
            ("select", "nowhere", "nowhere", "--segmenter", "nowhere", "--candidate", "a=nowhere"),
            "got nothing there (nowhere)",
        ),
        (
            ("select", "nowhere", "nowhere", "--segmenter", "nowhere", "--candidate", "before=x"),
            "ConfigError: candidate must have a name of its own, got 'before' (x)",
        ),
        (
            ("match", "nowhere", "--segmenter", "nowhere", "--set", "matching.scales=[0]"),
            "matching.scales.0 must be greater than 0, got 0",
        ),
    ],
)
def test_what_is_not_there_is_named(
    arguments: tuple[str, ...], match: str, biostyle: Invoke, tmp_path: Path
) -> None:
    result = biostyle(*arguments, "-o", tmp_path / "out")
    assert result.exit_code == 3, result.output
    assert match in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_select_prints_the_choice(
    tiny_run: Path, tiny_config: Path, biostyle: Invoke, tmp_path: Path
) -> None:
    candidate = f"matching={tiny_run / 'candidates' / 'zeiss' / 'matching'}"
    domains = (tiny_run / "prepared" / name for name in ("nikon", "zeiss"))
    models = ("--segmenter", tiny_run / "segmenter", "--candidate", candidate, "--config", tiny_config)
    result = biostyle("select", *domains, *models, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    choice = json.loads((tmp_path / "out" / "choice.json").read_text())
    first, second = result.stdout.splitlines()
    assert first == str(tmp_path / "out")
    assert second == f"{choice['chosen']}: {choice['verdict']}. {choice['reason']}"


@pytest.mark.parametrize("wrong", [("a",), ("a=",), ("=b",), ("a=b", "a=c")])
def test_a_candidate_has_a_name_and_a_directory(wrong: tuple[str, ...], biostyle: Invoke) -> None:
    named = [word for text in wrong for word in ("--candidate", text)]
    result = biostyle("select", "x", "x", "--segmenter", "y", *named, "-o", "z")
    assert result.exit_code == 2
    assert f"got '{wrong[-1]}'" in result.stderr


@pytest.mark.parametrize("alone", ["--segmenter", "--matching"])
def test_s_a_comes_into_the_loop_behind_a_chain_only(alone: str, biostyle: Invoke) -> None:
    result = biostyle("train-stylizer", "x", "y", alone, "z", "-o", "out")
    assert result.exit_code == 2
    assert "Give --segmenter and --matching together, or neither." in result.stderr


def test_retrain_can_learn_from_the_true_masks(
    tiny_run: Path, tiny_config: Path, biostyle: Invoke, tmp_path: Path
) -> None:
    domains = (tiny_run / "prepared" / name for name in ("nikon", "zeiss"))
    teacher = tiny_run / "candidates" / "zeiss" / "matching"
    models = ("--segmenter", tiny_run / "segmenter", "--teacher", teacher, "--supervised")
    result = biostyle("retrain", *domains, *models, "--config", tiny_config, "-o", tmp_path / "ceiling")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "ceiling" / "artifact.json").read_text())
    assert record["request"]["settings"]["supervised"] is True


@pytest.mark.parametrize("other", [("--favour-rare", "f"), ("--rival", "r")])
def test_true_masks_leave_no_doubt_and_have_no_rival(other: tuple[str, ...], biostyle: Invoke) -> None:
    given = ("--segmenter", "s", "--teacher", "t", "--supervised", *other)
    result = biostyle("retrain", "x", "y", *given, "-o", "z")
    assert result.exit_code == 2
    assert f"Give {other[0]} or --supervised, not both." in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict",),
        ("predict", "x", "-o", "y"),
        ("fetch",),
        ("prepare",),
        ("select", "x", "--segmenter", "s", "--candidate", "a=b", "-o", "y"),
        ("retrain", "x", "y", "--segmenter", "s", "-o", "z"),
    ],
)
def test_what_is_not_given_is_asked_for(arguments: tuple[str, ...], biostyle: Invoke) -> None:
    result = biostyle(*arguments)
    assert result.exit_code == 2
    assert "Missing" in result.stderr


def test_fetch_asks_for_the_terms(biostyle: Invoke) -> None:
    result = biostyle("fetch", "PhC-C2DH-U373")
    assert result.exit_code == 3
    assert "TermsError: " in result.stderr
    assert "--accept-terms" in result.stderr
