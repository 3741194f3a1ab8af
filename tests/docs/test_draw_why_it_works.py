"""The pictures of the page on why it works."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw", ROOT / "docs" / "draw_why_it_works.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spread(mean: float | None) -> dict[str, Any]:
    low, high = (None, None) if mean is None else (mean - 0.01, mean + 0.01)
    return {"mean": mean, "sd": 0.01, "min": low, "max": high, "n": 3}


def domain(chosen: str | None, label_free: dict[str, float], **rows: float | None) -> dict[str, Any]:
    return {
        "rows": {name: spread(value) for name, value in rows.items()},
        "chosen": [chosen] * 3,
        "label_free": {name: spread(value) for name, value in label_free.items()},
        "edge_support": {name: spread(1 + value) for name, value in label_free.items()},
    }


@pytest.fixture
def comparison() -> dict[str, Any]:
    scores = {"before": 0.811, "matching": 0.933, "retrain": 0.944}
    return {
        "domains": {
            "home": domain(None, {}, before=0.955, otsu=0.211),
            "near": domain(
                "retrain", scores, before=0.512, after=0.721, regret=0.015, matching=0.736, otsu=0.3
            ),
            "far": domain(
                "before", scores, before=0.622, after=0.622, regret=0.1, matching=None, ceiling=0.9
            ),
        }
    }


def texts(picture: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ablation() -> dict[str, Any]:
    return json.loads((ROOT / "reports" / "reference" / "ablation.json").read_text(encoding="utf-8"))


def test_whole_runs_are_drawn_with_the_oracle(
    script: ModuleType, ablation: dict[str, Any], comparison: dict[str, Any], tmp_path: Path
) -> None:
    made = {
        path.stem: texts(path) for path in script.draw(ablation, script.read_races(), comparison, tmp_path)
    }
    assert made.keys() == {"causes", "ablation", "unrelated", "f_scores", "regret", "label_free"}
    assert {"NEAR", "FAR", ".512", ".721", ".736", ".722", ".900"} <= set(made["f_scores"])
    assert "HOME" not in made["f_scores"]
    assert {".015", ".100"} <= set(made["regret"])
    assert {
        "Retrained S_B", "Label-free score (training frames)", "Support of contours by edges (training frames)",
    } <= set(made["label_free"])  # fmt: skip


def test_the_same_numbers_give_the_same_files(
    script: ModuleType, ablation: dict[str, Any], comparison: dict[str, Any], tmp_path: Path
) -> None:
    first, again = (
        script.draw(ablation, script.read_races(), comparison, tmp_path / name) for name in ("first", "again")
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_the_committed_pictures_show_the_committed_numbers(
    script: ModuleType, ablation: dict[str, Any], tmp_path: Path
) -> None:
    measured = script.NUMBERS / "cell_tracking.json"
    found = json.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else None
    for path in script.draw(ablation, script.read_races(), found, tmp_path):
        assert texts(path) == texts(PICTURES / path.name), f"{path.name}: run docs/draw_why_it_works.py"
