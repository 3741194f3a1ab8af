from __future__ import annotations

import copy
import json
import re
import statistics
from typing import Any

import pytest

from biostyle.errors import PairingError
from biostyle.reporting.comparison import compare_runs, comparison_markdown


def summary(after: float | None, chosen: str = "matching") -> dict[str, Any]:
    """A run's summary with two domains, of which the second was adapted to."""

    def row(f_score: float | None) -> dict[str, Any]:
        return {"f_score": f_score, "ci95": [None, None]}

    scored = {"n_scored": 4, "n_frames": 9, "reference": "silver"}
    candidates = {"before": row(0.5), "matching": row(after), "cyclegan": row(0.25)}
    return {
        "schema": 1,
        "pipeline": "cell-tracking",
        "domains": {
            "nikon": {**scored, "before": row(0.75), "baselines": {}},
            "zeiss": {
                **scored,
                "before": row(0.5),
                "after": row(after),
                "baselines": {"otsu": row(0.125)},
                "candidates": candidates,
                "chosen": chosen,
                "verdict": "adopt",
                "oracle": "matching",
                "regret": None if after is None else 0.0,
                "ceiling": row(1.0),
                "gap_closed": 0.5,
            },
        },
    }


def test_mean_and_spread_of_every_row() -> None:
    scores = [0.5, 0.75, 0.625]
    comparison = compare_runs({f"seed{i}": summary(score) for i, score in enumerate(scores)})
    assert comparison["runs"] == ["seed0", "seed1", "seed2"]
    zeiss = comparison["domains"]["zeiss"]
    assert zeiss["rows"]["after"] == {
        "mean": 0.625, "sd": pytest.approx(statistics.stdev(scores)), "min": 0.5, "max": 0.75, "n": 3,
    }  # fmt: skip
    assert zeiss["rows"]["before"]["sd"] == 0
    assert list(zeiss["rows"]) == [
        "before", "after", "regret", "gap_closed", "matching", "cyclegan", "ceiling", "otsu",
    ]  # fmt: skip
    assert list(comparison["domains"]["nikon"]["rows"]) == ["before"]
    assert comparison["domains"]["nikon"]["chosen"] == [None] * 3
    assert (zeiss["n_scored"], zeiss["n_frames"], zeiss["reference"]) == (4, 9, "silver")


def test_what_the_choice_saw_is_summarised_where_it_is_there() -> None:
    runs = [summary(0.5), summary(0.75), summary(0.5)]
    for run, support in zip(runs, (1.5, 1.75), strict=False):
        found = {"label_free": 0.9, "label_free_measures": {"agreement": 0.8, "edge_support": support}}
        run["domains"]["zeiss"]["candidates"]["matching"] |= found
    zeiss = compare_runs({f"seed{i}": run for i, run in enumerate(runs)})["domains"]["zeiss"]
    assert {name: (found["mean"], found["n"]) for name, found in zeiss["label_free"].items()} == {
        "matching": (0.9, 2)
    }
    assert {name: (found["mean"], found["max"]) for name, found in zeiss["edge_support"].items()} == {
        "matching": (1.625, 1.75)
    }


def test_a_row_counts_the_runs_that_have_it() -> None:
    less = summary(None, chosen="cyclegan")
    del less["domains"]["zeiss"]["candidates"]["cyclegan"]
    zeiss = compare_runs({"a": summary(0.5), "b": less})["domains"]["zeiss"]
    assert zeiss["rows"]["after"] == {"mean": 0.5, "sd": None, "min": 0.5, "max": 0.5, "n": 1}
    assert zeiss["rows"]["cyclegan"]["n"] == 1
    assert zeiss["chosen"] == ["matching", "cyclegan"]
    nothing = compare_runs({"b": summary(None)})["domains"]["zeiss"]["rows"]["after"]
    assert nothing == {"mean": None, "sd": None, "min": None, "max": None, "n": 0}


def test_markdown_has_the_overview_and_what_was_chosen() -> None:
    comparison = compare_runs({"runs/a": summary(0.5), "runs/b": summary(0.75, "cyclegan")})
    text = comparison_markdown(json.loads(json.dumps(comparison, allow_nan=False)))
    assert "# cell-tracking: 2 runs" in text
    assert "| After | – | 0.625 ± 0.177 |" in text
    assert "| Matching only | 0.625 | 0.177 | 0.500 | 0.750 | 2 |" in text
    assert "| runs/b | CycleGAN | adopt |" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = block.splitlines()
        assert set(lines[1]) <= set("|- "), lines[1]
        assert len({line.count("|") for line in lines}) == 1, block
    assert "| After | – | 0.500 |" in comparison_markdown(compare_runs({"a": summary(0.5)}))


def test_runs_of_different_things_are_refused() -> None:
    one = summary(0.5)
    pipeline, domains, reference, frames = (copy.deepcopy(one) for _ in range(4))
    pipeline["pipeline"] = "fundus"
    del domains["domains"]["nikon"]
    reference["domains"]["zeiss"]["reference"] = "gold"
    frames["domains"]["zeiss"]["n_scored"] = 3
    for other, match in (
        (pipeline, r"pipeline must be the same in all runs, got 'fundus' \(b\) and 'cell-tracking' \(a\)"),
        (domains, r"domains must be the same .* got \['zeiss'\] \(b\) and \['nikon', 'zeiss'\] \(a\)"),
        (reference, r"zeiss\.reference must be the same in all runs, got 'gold' \(b\) and 'silver' \(a\)"),
        (frames, r"zeiss\.n_scored must be the same in all runs, got 3 \(b\) and 4 \(a\)"),
    ):
        with pytest.raises(PairingError, match=match):
            compare_runs({"a": one, "b": other})
    with pytest.raises(PairingError, match="must be at least one, got none"):
        compare_runs({})
