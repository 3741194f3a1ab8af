"""A small report made of simulated scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from biostyle.metrics.overlap import PixelCounts
from biostyle.metrics.score_table import score_table
from biostyle.reporting.document import DomainResult, Panel, Report


def scores(tp: list[int], image_ids: list[str] | None = None) -> pd.DataFrame:
    """Score images of 100 pixels, 40 of them true, of which ``tp`` were found and 10 more invented."""
    counts = [PixelCounts(n, 10, 40 - n, 50) for n in tp]
    return score_table(image_ids or [f"01_t{i:03d}" for i in range(len(tp))], counts)


def panel(image_id: str = "01_t000") -> Panel:
    """Show one frame with every kind of agreement in it."""
    truth = np.zeros((8, 12), np.uint8)
    truth[2:6, 2:6] = 1
    image = np.arange(33_000, 33_012, dtype=np.uint16) + 100 * truth.astype(np.uint16)
    return Panel(image_id, image, image / 65535, np.roll(truth, 2, axis=1), truth, truth)


@pytest.fixture
def domain_b() -> DomainResult:
    """A domain that adaptation made worse."""
    return DomainResult(
        name="zeiss",
        title="ZEISS",
        reference="gold",
        n_scored=6,
        n_frames=84,
        tables={
            "before": scores([30, 31, 32, 33, 34, 35]),
            "after": scores([10, 12, 11, 13, 12, 10]),
            "all_foreground": scores([39] * 6),
            "all_background": scores([0] * 6),
            "otsu": scores([20] * 6),
        },
        panels=[panel()],
        losses=pd.DataFrame({"step": range(5), "gen": np.linspace(1, 0, 5), "cycle": np.linspace(2, 1, 5)}),
        notes=["78 of 84 frames have no gold mask and are not scored."],
        secondary={"silver": {"before": scores([20, 21, 22])}},
    )


@pytest.fixture
def report(domain_b: DomainResult) -> Report:
    """A report on A, which is not adapted, and on B."""
    domain_a = replace(
        domain_b,
        name="nikon",
        title="NIKON",
        tables={"before": scores([38, 39, 40])},
        n_scored=3,
        panels=[],
        losses=None,
        notes=[],
        secondary={},
    )
    return Report(
        title="Cell tracking",
        pipeline="cell-tracking",
        domains=[domain_a, domain_b],
        settings={"seed": 0, "stylizer": {"n_steps": 500}},
        versions={"biostyle": "0.1.0"},
        fingerprints={"simulated": "ab" * 32},
        command="biostyle run cell-tracking",
        machine="2 CPU cores",
        created="2026-01-01T00:00:00+00:00",
        published={"zeiss": {"before": 0.65, "after": 0.247}},
        n_resamples=50,
    )
