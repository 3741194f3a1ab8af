"""The dermoscopy pipeline as somebody runs it, on simulated photographs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from biostyle.config import load_config
from biostyle.data.prepared import load_prepared
from biostyle.data.sources.simulated_skin import simulate_skin_pair
from biostyle.io.labels import read_labels
from biostyle.pipelines.dermoscopy import PUBLISHED_MEASURES
from tests.conftest import Invoke
from tests.photographs import CONFIG

pytestmark = pytest.mark.slow
CANDIDATES = ["matching", "cyclegan", "augmented", "cyclegan_sa", "retrain"]
SUPERVISED = ["transfer_2", "transfer_all", "augmented_transfer"]
MEASURES = ["tja", "ja", "di", "ac", "se", "sp"]
# Two prepared, S_A; two of A (predictions, scores); of B five candidates, the choice and what was chosen, three with its
# labels, nine predictions (before, candidates, with labels), scores; and the report.
N_STAGES = 2 + 1 + 2 + 5 + 1 + 1 + 3 + 9 + 1 + 1


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("skin")
    simulate_skin_pair(root, seed=0, n_images=16, shape=(48, 64))
    return root


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of the tiny colour run."""
    import tomli_w

    kept = CONFIG.model_dump(
        mode="json",
        exclude_none=True,
        include={"preprocessing", "segmenter", "matching", "cyclegan", "cyclegan_sa", "retrain"},
    )
    kept["matching"]["single_object"] = True
    domains = {
        name: {"title": name.title(), "folders": [{"reader": reader, "folder": folder}]}
        for name, reader, folder in (
            ("dermoscopic", "isic", "SIM-ISIC"),
            ("macroscopic", "waterloo", "SIM-WATERLOO"),
        )
    }
    table = {
        "pipeline": "dermoscopy",
        "domain_a": "dermoscopic",
        "domains": domains,
        "candidates": CANDIDATES,
        "transfer_images": [2, 1000],
        "split": {"test_fraction": 0.25, "validation_fraction": 0.2, "seed": 5},
        "score": {"n_resamples": 100},
        "report": {"n_panels": 1},
        **kept,
    }
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(tomli_w.dumps(table))
    return path


def run(biostyle: Invoke, config: Path, data: Path, out: Path, *more: str) -> Any:
    result = biostyle(
        "run", "dermoscopy", "--config", config, "--data-root", data, "--out", out, "--device", "cpu", *more
    )
    assert result.exit_code == 0, result.output
    return result


def statuses(stderr: str) -> dict[str, str]:
    lines = (line.split(maxsplit=1) for line in stderr.splitlines() if line and not line.startswith(" "))
    return {words[0]: words[1] for words in lines}


@pytest.fixture(scope="module")
def finished(biostyle: Invoke, config: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    run(biostyle, config, data, out)
    return out


@pytest.fixture
def summary(finished: Path) -> dict[str, Any]:
    return json.loads((finished / "report" / "summary.json").read_text(encoding="utf-8"))


def test_every_row_has_the_six_measures(summary: dict[str, Any]) -> None:
    assert (summary["schema"], summary["pipeline"]) == (1, "dermoscopy")
    assert list(summary["domains"]) == ["dermoscopic", "macroscopic"]
    assert summary["published_measures"] == PUBLISHED_MEASURES
    home, away = summary["domains"].values()
    assert "after" not in home
    assert "candidates" not in home
    assert list(away["candidates"]) == ["before", *CANDIDATES]
    assert list(away["supervised"]) == SUPERVISED
    assert list(away["baselines"]) == ["all_foreground", "all_background", "otsu"]
    assert away["chosen"] in away["candidates"]
    rows = [home["before"], *home["baselines"].values(), away["before"], away["after"]]
    rows += [*away["candidates"].values(), *away["supervised"].values(), *away["baselines"].values()]
    for row in rows:
        assert list(row["measures"]) == MEASURES
        assert all(value is None or 0 <= value <= 100 for value in row["measures"].values())
        assert row["measures"]["di"] == pytest.approx(100 * row["f_score"], abs=0.01)
    assert {**away["candidates"][away["chosen"]]}["measures"] == away["after"]["measures"]
    assert set(away["measures_difference_to"]) == set(away["baselines"])
    assert away["supervised"]["transfer_all"]["measures_difference"]["ja"]["n"] == away["n_scored"]
    everything = away["baselines"]["all_foreground"]["measures"]
    assert (everything["se"], everything["sp"]) == (100, 0)


def test_the_report_shows_them_beside_the_published_ones(finished: Path) -> None:
    for name in ("index.html", "report.md"):
        text = (finished / "report" / name).read_text(encoding="utf-8")
        assert "75.46" in text
        assert "72.97" in text
        assert "CycleGAN augmentation and transfer" in text
        assert "Transfer learning, 2 labels of B" in text
        assert "whole lesions" in text
    scores = pd.read_csv(finished / "report" / "scores.csv", dtype={"group": str})
    assert scores["group"].notna().all()


def test_supervised_rows_never_take_part_in_the_choice(finished: Path) -> None:
    choice = json.loads((finished / "candidates/macroscopic/choice/choice.json").read_text())
    assert set(choice["candidates"]) == {"before", *CANDIDATES}


def test_what_stands_behind_a_chain_finds_one_lesion_at_most(finished: Path) -> None:
    predictions = finished / "predictions" / "macroscopic"
    for row in ("matching", "cyclegan_sa", "retrain"):
        found = [read_labels(path).max() for path in (predictions / row).rglob("mask*.tif")]
        assert found
        assert max(found) <= 1
        assert (finished / "candidates" / "macroscopic" / row / "single_object").is_dir()
    choice = json.loads((finished / "candidates/macroscopic/choice/choice.json").read_text())
    assert all("singleness" in measures for measures in choice["candidates"].values())
    assert "in one object" in choice["reason"] or choice["verdict"] == "don't adapt"


def test_no_test_photograph_was_learned_from(finished: Path) -> None:
    away = load_prepared(finished / "prepared" / "macroscopic")
    tested = set(away.global_ids(away.frames("test")))
    cards = list(finished.rglob("model.json"))
    assert len(cards) > 8
    for card in cards:
        assert not tested & set(json.loads(card.read_text())["training_data"]["frames"]), card


def test_a_second_run_does_nothing_and_a_changed_setting_what_depends_on_it(
    biostyle: Invoke, finished: Path, config: Path, data: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(finished, tmp_path / "out"))
    again = statuses(run(biostyle, config, data, out, "--resume").stderr)
    assert len(again) == N_STAGES
    assert set(again.values()) == {"up to date"}
    planned = statuses(run(biostyle, config, data, out, "--dry-run", "--set", "cyclegan.n_steps=3").stderr)
    made = {name for name, status in planned.items() if status != "up to date"}
    stale = {"cyclegan", "augmented", "choice"}
    assert {f"candidates/macroscopic/{name}" for name in stale} <= made
    assert "transfer/macroscopic/augmented_transfer" in made
    assert not made & {"segmenter", "candidates/macroscopic/matching", "transfer/macroscopic/transfer_all"}


def test_without_masks_of_b_nothing_supervised_runs(
    biostyle: Invoke, config: Path, data: Path, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(data, tmp_path / "data"))
    for mask in bare.rglob("*_contour.png"):
        mask.unlink()
    short = ["--set", "candidates=['matching']", "--set", "segmenter.n_steps=2"]
    out = tmp_path / "out"
    stages = statuses(run(biostyle, config, bare, out, *short, "--json").stderr)
    assert not [name for name in stages if name.startswith("transfer")]
    away = json.loads((out / "report" / "summary.json").read_text())["domains"]["macroscopic"]
    assert away["n_scored"] == 0
    assert away["chosen"] in away["candidates"]


@pytest.mark.parametrize("name", ["dermoscopy/cpu", "dermoscopy/full"])
def test_the_presets_are_complete(name: str) -> None:
    from biostyle.config import DermoscopyConfig

    settings = load_config(name, None, DermoscopyConfig)
    assert list(settings.candidates) == CANDIDATES
    assert settings.matching.polarities == ("upright",)
    assert settings.domains_b() == ["macroscopic"]
