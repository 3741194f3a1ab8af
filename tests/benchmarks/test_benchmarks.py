"""The benchmarks at tiny sizes: what they compare is the same, and the page has their figures."""

from __future__ import annotations

import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from biostyle.stages.match import read_concord
from biostyle.stages.select import read_choice

ROOT = Path(__file__).parents[2]
NEEDED = {"generator": "monai", "stack": "torch", "overlap": "sklearn", "cluster": "distributed"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDED)
def test_each_runs_at_tiny_sizes(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(NEEDED[name]) is None:
        pytest.skip(f"{NEEDED[name]} is not installed")
    path = tmp_path / "figures.json"
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--quick", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert figures["quick"] is True
    assert all(row["ratio"] > 0 and row["rounds"] > 0 for row in figures["rows"])


@pytest.mark.slow
def test_the_memory_of_a_large_frame_is_measured() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "large_frame.py"), "--quick", "--edge", "128"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("segment of 128 x 128 px: 0.")


@pytest.mark.slow
def test_unrelated_images_are_offered_and_finished_races_stand_beside_them(
    tiny_run: Path, tmp_path: Path
) -> None:
    candidates = tiny_run / "candidates" / "zeiss"
    for number in range(2):
        ramp = np.tile(np.arange(100, dtype=np.uint8) + number, (80, 1))
        Image.fromarray(ramp).save(tmp_path / f"{number}.png")
    path = tmp_path / "figures.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "do_no_harm.py"), str(tiny_run / "segmenter"),
               str(tiny_run / "prepared" / "nikon"), "--more", f"ramp={tmp_path}", "--race", f"ZEISS={candidates}",
               "--quick", "--json", str(path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    names = ["more of A", "noise", "blurred noise", "empty, with sensor noise", "ramp", "ZEISS"]
    assert list(figures) == names
    assert [line[:25].strip() for line in done.stdout.splitlines()] == names
    assert figures["ramp"]["verdict"] == "don't adapt"
    assert figures["ZEISS"]["verdict"] == read_choice(candidates / "choice")["verdict"]
    assert figures["ZEISS"]["concord"] == read_concord(candidates / "matching")


@pytest.fixture
def table() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "table.py"))


def test_the_page_has_the_figures(table: dict[str, Any]) -> None:
    text = table["PAGE"].read_text(encoding="utf-8")
    assert table["page"](text, ROOT / "benchmarks" / "results") == text
    measured = [json.loads(path.read_text()) for path in (ROOT / "benchmarks" / "results").glob("*.json")]
    assert not any(figures["quick"] for figures in measured)


def test_a_missed_goal_is_seen(table: dict[str, Any], tmp_path: Path) -> None:
    row = {"work": "w", "peer": "p", "goal": 2.0, "ratio": 1.5, "range": [1.4, 1.6], "rounds": 3, "seconds": 1.0,
           "peer_seconds": 1.5, "error": "1e-06", "notes": "n"}  # fmt: skip
    machine = {"processor": "X", "cores": 2, "threads": 2, "gpu": None}
    content = {
        "date": "2026-01-01",
        "machine": machine,
        "packages": {"torch": "2", "numpy": "2"},
        "rows": [row],
    }
    (tmp_path / "stack.json").write_text(json.dumps(content))
    text = table["table"](tmp_path)
    assert text.startswith("Measured on 2026-01-01 on X, 2 cores, 2 threads; torch 2, numpy 2:\n\n| work |")
    assert "| w | p | ≥ 2x | **1.50x (1.40 to 1.60, 3 rounds): missed** | 1 | 1.5 | 1e-06 | n |" in text
    row["ratio"] = 2.5
    (tmp_path / "stack.json").write_text(json.dumps(content))
    assert "| 2.50x (1.40 to 1.60, 3 rounds) |" in table["table"](tmp_path)
