from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from biostyle.reporting.document import BASELINES, Report


def test_a_report_cannot_be_altered_while_it_is_written(report: Report) -> None:
    with pytest.raises(FrozenInstanceError, match="title"):
        report.title = "another"  # type: ignore[misc]


def test_baselines_are_named_as_in_the_summary() -> None:
    assert BASELINES == ("all_foreground", "all_background", "otsu")
