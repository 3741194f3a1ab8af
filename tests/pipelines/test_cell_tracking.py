"""The pipeline as somebody runs it: what it makes, what it makes again, and what it never makes twice."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Invoke
from tests.simulated import TINY_CONFIG, read_tree, stat_tree, write_tiny_challenge

SCORES = {"f_score", "jaccard", "precision", "recall"}
CANDIDATES = ["matching", "adabn", "cyclegan", "cyclegan_sa", "retrain", "retrain_rare"]
# Three prepared, S_A, two of A (predictions, scores); of each B: six candidates, the choice, what was chosen, seven
# predictions, scores; and the report.
N_STAGES = 3 + 1 + 2 + 2 * (6 + 1 + 1 + 7 + 1) + 1
# Two steps of S_A and one of CycleGAN: enough where it does not matter what was learned.
SHORT = (
    "--set", "segmenter.n_steps=2", "--set", "cyclegan.n_steps=1", "--set", "candidates=['matching', 'cyclegan']"
)  # fmt: skip
# Where the report says when, where and how it was made.
REPORT = {"report/index.html", "report/report.md", "report/artifact.json"}


def run(
    biostyle: Invoke, config: Path, data: Path, out: Path, *arguments: str, fails: int = 0
) -> dict[str, str]:
    """Run the pipeline and return the status of every stage."""
    result = biostyle(
        "run", "cell-tracking", "--config", config, "--data-root", data, "--out", out, *arguments
    )
    assert result.exit_code == fails, result.output
    return statuses(result.stderr)


def statuses(stderr: str) -> dict[str, str]:
    """Status by stage, from lines such as ``prepared/zeiss    making``."""
    lines = (line.split(maxsplit=1) for line in stderr.splitlines() if line and not line.startswith(" "))
    return {words[0]: words[1] for words in lines}


def summary_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "report" / "summary.json").read_text(encoding="utf-8"))


def test_the_summary_has_the_published_keys(tiny_run: Path) -> None:
    summary = summary_of(tiny_run)
    assert (summary["schema"], summary["pipeline"]) == (1, "cell-tracking")
    assert list(summary["domains"]) == ["nikon", "zeiss", "artificial"]
    for name, domain in summary["domains"].items():
        assert (domain["n_scored"], domain["n_frames"], domain["reference"]) == (3, 8, "silver")
        assert set(domain["baselines"]) == {"all_foreground", "all_background", "otsu"}
        assert ("after" in domain) == ("difference" in domain) == (name != "nikon")
        rows = [domain[row] for row in ("before", "after") if row in domain]
        for row in [*rows, *domain["baselines"].values()]:
            assert set(row) >= SCORES | {"ci95", "pooled"}
            assert set(row["pooled"]) == SCORES
            low, high = row["ci95"]
            assert 0 <= low <= row["f_score"] <= high <= 1
        everything = domain["baselines"]["all_foreground"]
        assert everything["recall"] == 1
        assert everything["f_score"] == pytest.approx(
            2 * everything["precision"] / (1 + everything["precision"]), rel=0.01
        )


def test_the_summary_tells_how_after_was_chosen(tiny_run: Path) -> None:
    domains = summary_of(tiny_run)["domains"]
    assert "chosen" not in domains["nikon"]
    for name in ("zeiss", "artificial"):
        domain = domains[name]
        candidates = domain["candidates"]
        assert list(candidates) == ["before", *CANDIDATES]
        for row in candidates.values():
            assert set(row) >= SCORES | {"ci95", "pooled", "label_free"}
            assert 0 <= row["label_free"] <= 1
        chosen = candidates[domain["chosen"]]
        assert domain["verdict"] in {"adopt", "adopt with care", "don't adapt"}
        assert (domain["verdict"] == "don't adapt") == (domain["chosen"] == "before")
        shown = {f"{candidates[name]['label_free']:.3f}" for name in ("before", "matching", domain["chosen"])}
        assert any(number in domain["reason"] for number in shown) or "Dice coefficient" in domain["reason"]
        assert {key: chosen[key] for key in domain["after"]} == domain["after"]
        oracle = max(row["f_score"] for row in candidates.values())
        assert candidates[domain["oracle"]]["f_score"] == oracle
        assert domain["regret"] == oracle - domain["after"]["f_score"] >= 0
        choice = json.loads((tiny_run / "candidates" / name / "choice" / "choice.json").read_text())
        assert choice["chosen"] == domain["chosen"]
        for candidate, row in candidates.items():
            assert row["label_free"] == choice["candidates"][candidate]["label_free"]


def test_the_numbers_are_those_of_the_table(tiny_run: Path) -> None:
    table = pd.read_csv(tiny_run / "report" / "scores.csv", dtype={"image_id": str})
    assert (table["tp"] + table["fp"] + table["fn"] + table["tn"]).eq(72 * 80).all()
    for name, domain in summary_of(tiny_run)["domains"].items():
        for row in ("before", "after"):
            rows = table[(table["domain"] == name) & (table["row"] == row)]
            assert len(rows) == (0 if row == "after" and name == "nikon" else 3)
            if len(rows):
                assert list(rows["image_id"]) == ["01_t005", "01_t006", "01_t007"]
                assert domain[row]["f_score"] == pytest.approx(rows["f_score"].mean())
                tp, fp, fn = (rows[column].sum() for column in ("tp", "fp", "fn"))
                assert domain[row]["pooled"]["f_score"] == pytest.approx(2 * tp / (2 * tp + fp + fn))


def test_the_segmenter_has_learned_something_and_each_candidate_changed_something(tiny_run: Path) -> None:
    domains = summary_of(tiny_run)["domains"]
    nikon = domains["nikon"]
    assert nikon["before"]["f_score"] > 2 * nikon["baselines"]["all_foreground"]["f_score"]
    candidates = domains["zeiss"]["candidates"]
    for name in CANDIDATES:
        assert candidates[name]["pooled"]["f_score"] != candidates["before"]["pooled"]["f_score"], name


def test_the_report_stands_beside_the_published_table(tiny_run: Path) -> None:
    page = (tiny_run / "report" / "index.html").read_text(encoding="utf-8")
    text = (tiny_run / "report" / "report.md").read_text(encoding="utf-8")
    for document in (page, text):
        for words in (
            "NIKON",
            "ZEISS",
            "ARTIFICIAL",
            "0.974",
            "0.247",
            "Scored 3 of 8 frames",
            "Chosen without labels",
            "Verdict: ",
            "CPU threads",
        ):
            assert words in document
    assert "http" not in page.replace("http://www.w3.org", "").split("<body")[0]


def test_predictions_have_the_challenges_layout_and_are_scored_alike_by_hand(
    tiny_run: Path, tiny_data: Path, biostyle: Invoke, tmp_path: Path
) -> None:
    expected = pd.read_csv(tiny_run / "report" / "scores.csv")
    for name, folder in (("zeiss", "SIM-B"), ("nikon", "SIM-A")):
        predictions = tiny_run / "predictions" / name / "before"
        masks = sorted(path.relative_to(predictions).as_posix() for path in predictions.rglob("mask*.tif"))
        assert masks == [f"01_RES/mask00{number}.tif" for number in (5, 6, 7)]
        truth = tmp_path / name / "01_ST" / "SEG"
        truth.mkdir(parents=True)
        for number in (5, 6, 7):
            shutil.copy(tiny_data / folder / "01_ST" / "SEG" / f"man_seg00{number}.tif", truth)
        out = tmp_path / name / "out"
        result = biostyle(
            "score", predictions, tmp_path / name, "--images", tiny_data / folder, "-o", out, "--json"
        )
        assert result.exit_code == 0, result.output
        found = pd.read_csv(out / "scores.csv")
        rows = expected[(expected["domain"] == name) & (expected["row"] == "before")]
        pd.testing.assert_frame_equal(found, rows[found.columns].reset_index(drop=True))
        otsu = json.loads(result.stdout)["baselines"]["otsu"]["f_score"]
        assert otsu == summary_of(tiny_run)["domains"][name]["baselines"]["otsu"]["f_score"]


def test_a_second_run_does_nothing_and_says_so(
    run_copy: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke
) -> None:
    before = stat_tree(run_copy)
    found = run(biostyle, tiny_config, tiny_data, run_copy)
    assert len(found) == N_STAGES
    assert set(found.values()) == {"up to date"}
    assert stat_tree(run_copy) == before


def test_a_changed_setting_makes_again_only_what_depends_on_it(
    run_copy: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke
) -> None:
    before = read_tree(run_copy)
    times = stat_tree(run_copy)
    change = ("--set", "cyclegan.lambda_identity=0.5")
    planned = run(biostyle, tiny_config, tiny_data, run_copy, *change, "--dry-run")
    assert stat_tree(run_copy) == times
    made = run(biostyle, tiny_config, tiny_data, run_copy, *change)
    again = {
        f"{stage}/{name}"
        for stage, name in (
            ("candidates/zeiss", "cyclegan"), ("candidates/artificial", "cyclegan"),
            ("candidates/zeiss", "choice"), ("candidates/artificial", "choice"),
            ("models", "zeiss"), ("models", "artificial"),
            ("predictions/zeiss", "cyclegan"), ("predictions/artificial", "cyclegan"),
            ("scores", "zeiss"), ("scores", "artificial"),
        )
    } | {"report"}  # fmt: skip
    assert {stage for stage, status in made.items() if status == "making"} == again
    assert {stage for stage, status in made.items() if status == "up to date"} == set(made) - again
    assert {stage for stage, status in planned.items() if status.startswith("would be made again")} == again
    assert {stage for stage, status in planned.items() if status == "up to date"} == set(made) - again
    assert planned["candidates/zeiss/cyclegan"] == "would be made again (changed: training.lambda_identity)"
    assert planned["candidates/zeiss/choice"] == "would be made again (changed: cyclegan)"
    assert planned["scores/zeiss"].startswith("would be made again (changed: ")
    after = read_tree(run_copy)
    changed = {path for path in before if before[path] != after[path]}
    roots = (*(f"{stage}/" for stage in again), "config.toml")
    assert {path for path in changed if not path.startswith(roots)} == set()
    assert "candidates/zeiss/cyclegan/gen_ba/model.safetensors" in changed
    assert b"lambda_identity = 0.5" in after["config.toml"]


def test_a_dry_run_of_a_new_run_writes_nothing(
    tiny_config: Path, tiny_data: Path, biostyle: Invoke, tmp_path: Path
) -> None:
    planned = run(biostyle, tiny_config, tiny_data, tmp_path / "new", "--dry-run")
    assert len(planned) == N_STAGES
    assert set(planned.values()) == {"would be made"}
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_without_data_says_what_would_be_fetched(biostyle: Invoke, tmp_path: Path) -> None:
    result = biostyle("run", "cell-tracking", "--out", tmp_path / "run", "--dry-run")
    assert result.exit_code == 0, result.output
    planned = statuses(result.stderr)
    assert planned["data/PhC-C2DH-U373"] == "would be fetched"
    assert {status for name, status in planned.items() if not name.startswith("data/")} == {"would be made"}
    assert list(tmp_path.iterdir()) == []


def test_two_runs_give_the_same_bytes(
    tiny_run: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke, tmp_path: Path
) -> None:
    run(biostyle, tiny_config, tiny_data, tmp_path / "other")
    first, second = read_tree(tiny_run), read_tree(tmp_path / "other")
    assert first.keys() == second.keys()
    assert {path for path in first if first[path] != second[path]} <= REPORT
    assert "candidates/zeiss/cyclegan/gen_ba/model.safetensors" in first
    assert "segmenter/history.csv" in first


def test_another_seed_gives_other_weights_and_only_some_domains_can_be_run(
    tiny_run: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke, tmp_path: Path
) -> None:
    out = tmp_path / "seven"
    stages = run(
        biostyle, tiny_config, tiny_data, out, "--seed", "7", "--domains", "zeiss", "--device", "cpu"
    )
    assert "candidates/zeiss/cyclegan" in stages
    assert not any("artificial" in stage for stage in stages)
    assert list(summary_of(out)["domains"]) == ["nikon", "zeiss"]
    first, second = read_tree(tiny_run), read_tree(out)
    learned = ("cyclegan/gen_ba", "cyclegan_sa/gen_ba", "retrain/segmenter")
    for model in ("segmenter", *(f"candidates/zeiss/{part}" for part in learned)):
        assert first[f"{model}/model.safetensors"] != second[f"{model}/model.safetensors"]
    assert first["prepared/zeiss/frames.csv"] == second["prepared/zeiss/frames.csv"]


def test_a_ceiling_is_shown_but_never_chosen(
    run_copy: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke
) -> None:
    before = summary_of(run_copy)["domains"]["zeiss"]
    made = run(biostyle, tiny_config, tiny_data, run_copy, "--domains", "zeiss", "--set", "with_ceiling=true")
    assert {stage for stage, status in made.items() if status == "making"} == {
        "ceiling/zeiss", "predictions/zeiss/ceiling", "scores/zeiss", "report"
    }  # fmt: skip
    domain = summary_of(run_copy)["domains"]["zeiss"]
    assert (run_copy / "scores" / "zeiss" / "silver" / "ceiling.csv").is_file()
    assert "label_free" not in domain["candidates"].get("ceiling", {})
    for key in ("chosen", "verdict", "oracle", "regret"):
        assert domain[key] == before[key]


def test_a_candidate_whose_alarm_rang_is_left_out_and_the_report_says_so(
    run_copy: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke
) -> None:
    change = ("--set", "cyclegan_sa.least_agreement=1.0", "--set", "cyclegan_sa.residual=false")
    run(biostyle, tiny_config, tiny_data, run_copy, *change, "--domains", "zeiss")
    domain = summary_of(run_copy)["domains"]["zeiss"]
    assert set(domain["candidates"]) == {"before", "matching", "adabn", "cyclegan", "retrain", "retrain_rare"}
    choice = json.loads((run_copy / "candidates" / "zeiss" / "choice" / "choice.json").read_text())
    assert list(choice["left_out"]) == ["cyclegan_sa"]
    assert (
        "agreement of the masks before and after translation must be at least 1, got 0."
        in (choice["left_out"]["cyclegan_sa"])
    )
    assert "Bright and dark were exchanged" in (run_copy / "report" / "report.md").read_text()
    planned = run(biostyle, tiny_config, tiny_data, run_copy, *change, "--domains", "zeiss", "--dry-run")
    assert set(planned.values()) == {"up to date"}


def test_two_sequences_are_split_by_sequence(tiny_config: Path, biostyle: Invoke, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    write_tiny_challenge(data, sequences=2)
    run(biostyle, tiny_config, data, out, *SHORT, "--domains", "zeiss")
    masks = sorted(path.name for path in (out / "predictions" / "zeiss" / "cyclegan").glob("02_RES/*.tif"))
    assert masks == [f"mask{number:03d}.tif" for number in range(8)]
    assert not (out / "predictions" / "zeiss" / "cyclegan" / "01_RES").exists()
    card = json.loads((out / "segmenter" / "model.json").read_text())
    assert card["training_data"]["frames"] == [f"SIM-A/01_t{number:03d}" for number in range(8)]
    assert summary_of(out)["domains"]["zeiss"]["n_scored"] == 8
    assert "Split by sequence" in (out / "report" / "report.md").read_text(encoding="utf-8")


@pytest.fixture
def long_config(tmp_path: Path) -> Path:
    """The tiny configuration with candidates that train for a while and save every step."""
    path = tmp_path / "long.toml"
    text = TINY_CONFIG.replace("n_steps = 4\n", "n_steps = 60\n").replace(
        "checkpoint_every = 2\n", "checkpoint_every = 1\n"
    )
    path.write_text(text)
    return path


def start_and_stop(
    run_copy: Path, config: Path, data: Path, candidate: str, number: signal.Signals
) -> tuple[int, str]:
    """Start the pipeline in a process of its own and send it a signal after a candidate's first step."""
    arguments = ["--config", config, "--data-root", data, "--out", run_copy, "--domains", "zeiss"]
    command = [sys.executable, "-c", "from biostyle.cli import main; main()", "run", "cell-tracking"]
    state = run_copy / "candidates" / "zeiss" / f"{candidate}.partial" / "resume" / "state.safetensors"
    with subprocess.Popen([*command, *map(str, arguments)], stderr=subprocess.PIPE, text=True) as process:
        while not state.exists() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Filled by the first test that runs to the end."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("candidate", "number"),
    [
        ("cyclegan", signal.SIGINT),
        ("cyclegan", signal.SIGTERM),
        ("cyclegan", signal.SIGKILL),
        ("cyclegan_sa", signal.SIGINT),
        ("cyclegan_sa", signal.SIGKILL),
        ("retrain", signal.SIGINT),
        ("retrain", signal.SIGKILL),
    ],
)
def test_a_stopped_run_resumes_to_the_same_bytes(
    candidate: str,
    number: signal.Signals,
    run_copy: Path,
    long_config: Path,
    tiny_data: Path,
    biostyle: Invoke,
    tmp_path: Path,
    uninterrupted: dict[str, dict[str, bytes]],
) -> None:
    code, errors = start_and_stop(run_copy, long_config, tiny_data, candidate, number)
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == 4, errors
        assert errors.splitlines()[-1].startswith("InterruptedRunError: training was stopped at step ")
        assert "--resume" in errors.splitlines()[-1]
    assert "Traceback" not in errors

    arguments = (
        "run",
        "cell-tracking",
        "--config",
        long_config,
        "--data-root",
        tiny_data,
        "--domains",
        "zeiss",
    )
    times = stat_tree(run_copy / "candidates")
    planned = statuses(biostyle(*arguments, "--out", run_copy, "--dry-run").stderr)
    assert planned[f"candidates/zeiss/{candidate}"] == "interrupted, needs --resume"
    refused = biostyle(*arguments, "--out", run_copy)
    assert refused.exit_code == 4
    assert "Add --resume to go on with it" in refused.stderr
    assert stat_tree(run_copy / "candidates") == times

    resumed = biostyle(*arguments, "--out", run_copy, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert statuses(resumed.stderr)[f"candidates/zeiss/{candidate}"] == "resuming"
    if not uninterrupted:
        assert biostyle(*arguments, "--out", tmp_path / "straight").exit_code == 0
        uninterrupted["files"] = read_tree(tmp_path / "straight")
    files = read_tree(run_copy)
    for path, content in uninterrupted["files"].items():
        assert path in REPORT or files[path] == content, path
    assert not list(run_copy.rglob("*.partial"))


def test_a_domain_without_any_mask_is_predicted_and_reported_as_not_scored(
    tiny_data: Path, tiny_config: Path, biostyle: Invoke, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "SIM-B" / "01_ST")
    out = tmp_path / "run"
    arguments = ("--config", tiny_config, "--data-root", data, "--out", out, "--domains", "zeiss")
    result = biostyle("run", "cell-tracking", *arguments, *SHORT, "--with-ceiling")
    assert result.exit_code == 0, result.output
    assert not (out / "ceiling").exists()
    zeiss = json.loads((out / "report" / "summary.json").read_text())["domains"]["zeiss"]
    assert (zeiss["n_scored"], zeiss["before"]["f_score"], zeiss["after"]["f_score"]) == (0, None, None)
    assert "No test frame has a mask: nothing was scored." in (out / "report" / "index.html").read_text()
    assert len(list((out / "predictions" / "zeiss" / "cyclegan" / "01_RES").iterdir())) == 3
