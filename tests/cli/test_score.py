"""The verb on folders, files and challenge trees; what it prints and writes; bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from biostyle.cli.score import score
from biostyle.errors import DataError, MaskError, OutputError, PairingError
from biostyle.io.frames import write_frame
from biostyle.io.labels import write_labels


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    """Return a challenge tree of 24 frames and 24 predictions; every second frame has a gold truth."""
    rng = np.random.default_rng(0)
    for frame in range(24):
        labels = np.zeros((32, 40), np.uint16)
        labels[4:12, 4:12], labels[20:28, 20:36] = 255, 7
        write_frame(tmp_path / f"01/t{frame:03d}.tif", (labels > 0) * 90 + rng.integers(0, 9, labels.shape))
        write_labels(tmp_path / f"01_RES/mask{frame:03d}.tif", np.roll(labels, frame % 3, axis=0))
        if frame % 2 == 0:
            write_labels(tmp_path / f"01_GT/SEG/man_seg{frame:03d}.tif", labels)
    return tmp_path


def run(*arguments: object) -> Result:
    """Run the verb."""
    return CliRunner().invoke(score, [str(argument) for argument in arguments])


def test_table_files_and_counts(challenge: Path) -> None:
    out = challenge / "scores"
    result = run(
        challenge / "01_RES", challenge / "01_GT", "--sparse", "--images", challenge / "01", "-o", out
    )
    assert result.exit_code == 0, result.output
    for text in ("scored 12 of 24", "01_t000", "1.000", "mean", "pooled", "95 % interval", "otsu (mean)"):
        assert text in result.output
    summary = json.loads((out / "summary.json").read_text())
    with (out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == summary["n_scored"] == 12
    assert summary["n_predictions"] == 24
    assert summary["f_score"] == pytest.approx(np.mean([float(row["f_score"]) for row in rows]))
    assert summary["baselines"]["otsu"]["f_score"] == 1
    assert summary["baselines"]["all_foreground"]["recall"] == 1
    assert summary["baselines"]["all_background"]["f_score"] == 0


def test_what_is_wrong_along_the_border_only_is_right_without_it(tmp_path: Path) -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[8:12, 8:22] = 1
    write_labels(tmp_path / "truth" / "t0.tif", labels)
    labels[:3] = 2
    write_labels(tmp_path / "pred" / "t0.tif", labels)
    folders = (tmp_path / "pred", tmp_path / "truth", "--json")
    whole, inner = (json.loads(run(*folders, "--border", width).stdout) for width in (0, 3))
    assert whole["f_score"] < 1
    assert (inner["f_score"], inner["border_px"]) == (1, 3)
    result = run(*folders, "--border", 10)
    assert isinstance(result.exception, MaskError)
    assert "t0.tif" in str(result.exception)


def test_json_alone_on_stdout_and_the_same_twice(challenge: Path) -> None:
    arguments = (challenge / "01_RES", challenge / "01_RES", "--json", "--seed", 3, "--block-length", 2)
    first, second = run(*arguments), run(*arguments)
    assert json.loads(first.stdout)["ci95"] == [1, 1]
    assert first.stdout == second.stdout


def test_long_tables_are_cut(challenge: Path) -> None:
    output = run(challenge / "01_RES", challenge / "01_RES").output
    assert "…" in output
    assert "01_t019" in output
    assert "01_t020" not in output


def test_two_files_of_which_both_are_empty(tmp_path: Path) -> None:
    write_labels(tmp_path / "mine.tif", np.zeros((4, 4), np.uint8))
    result = run(tmp_path / "mine.tif", tmp_path / "mine.tif")
    assert "undefined (prediction and truth empty): 1" in result.output
    assert "95 % interval of the mean f_score: - to -" in result.output


def test_leftovers_are_refused(challenge: Path) -> None:
    result = run(challenge / "01_RES", challenge / "01_GT")
    assert isinstance(result.exception, PairingError)
    assert "got 12 without: 01_t001" in str(result.exception)


def test_missing_predictions_are_counted_where_they_are_allowed(challenge: Path) -> None:
    for number in (4, 6):
        (challenge / f"01_RES/mask{number:03d}.tif").unlink()
    arguments = (challenge / "01_RES", challenge / "01_GT", "--sparse", "--images", challenge / "01")
    refused = run(*arguments)
    assert isinstance(refused.exception, PairingError)
    assert "got 2 without: 01_t004, 01_t006" in str(refused.exception)
    result = run(*arguments, "--allow-missing")
    assert result.exit_code == 0, result.output
    assert "scored 10 of 22" in result.output
    assert "not scored, for want of a prediction: 2 frames that have a truth" in result.output
    summary = json.loads(run(*arguments, "--allow-missing", "--json").stdout)
    assert (summary["n_scored"], summary["n_missing"]) == (10, 2)


def bad_size(root: Path) -> None:
    write_labels(root / "01_RES/mask002.tif", np.zeros((5, 6), np.uint8))


def bad_bytes(root: Path) -> None:
    (root / "01_RES/mask002.tif").write_bytes(b"<html>")


def bad_frame(root: Path) -> None:
    write_frame(root / "01/t002.tif", np.full((32, 40), 3, np.uint8))


def other_frame_size(root: Path) -> None:
    write_frame(root / "01/t002.tif", np.eye(5))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (bad_size, r"\(32, 40\), got \(5, 6\) .*mask002.tif"),
        (bad_bytes, "b'<html>' .*mask002.tif"),
        (bad_frame, "got 3 in every pixel .*t002.tif"),
        (other_frame_size, r"\(5, 5\), got \(32, 40\) .*man_seg002.tif"),
        (lambda root: (root / "01/t002.tif").unlink(), "got 1 without: 01_t002 .*01"),
    ],
)
def test_bad_input_names_the_file_and_writes_nothing(challenge: Path, damage: object, named: str) -> None:
    assert callable(damage)
    damage(challenge)
    out = challenge / "scores"
    arguments = [
        challenge / "01_RES",
        challenge / "01_GT",
        "--sparse",
        "--images",
        challenge / "01",
        "-o",
        out,
    ]
    with pytest.raises(DataError, match=named) as caught:
        CliRunner().invoke(score, [str(argument) for argument in arguments], catch_exceptions=False)
    assert caught.value.exit_code == 3
    assert not out.exists()


def test_probabilities_are_refused(tmp_path: Path) -> None:
    write_frame(tmp_path / "p.tif", np.eye(4) / 2)
    assert isinstance(run(tmp_path / "p.tif", tmp_path / "p.tif").exception, MaskError)


def test_unwritable_output_is_refused(challenge: Path) -> None:
    (challenge / "taken").write_text("")
    result = run(challenge / "01_RES", challenge / "01_RES", "-o", challenge / "taken")
    assert isinstance(result.exception, OutputError)
    assert "taken/scores.csv" in str(result.exception)
