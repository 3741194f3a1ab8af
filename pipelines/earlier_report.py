"""A report of domains that a run leaves out is not lost: it is set aside before the run's own takes its place."""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import count
from pathlib import Path

from biostyle.artifacts import BuildOptions
from biostyle.errors import OutputError
from biostyle.reporting.render import SUMMARY


def set_earlier_report_aside(report: Path, domains: Collection[str], options: BuildOptions) -> None:
    """Rename the report that is there, if it covers a domain that the coming one does not.

    Parameters
    ----------
    report : Path
        Where the coming report goes. The earlier one becomes ``report-1``, or the first number that is free.
    domains : collection of str
        The domains that it will cover.
    options : BuildOptions
        Whom to tell; in a dry run nothing is renamed.

    Raises
    ------
    OutputError
        If it cannot be renamed.
    """
    others = sorted(_covered(report) - set(domains))
    if not others:
        return
    numbered = (report.with_name(f"{report.name}-{number}") for number in count(1))
    aside = next(path for path in numbered if not path.exists())
    if not options.dry_run:
        try:
            report.rename(aside)
        except OSError as error:
            raise OutputError(
                f"the earlier report must be renamed to {aside.name}, got {error.strerror or error} ({report}). "
                "Change permissions or choose another --out."
            ) from error
    verb = "would keep" if options.dry_run else "keeps"
    options.progress.stage(str(aside), f"{verb} the report that also covers {', '.join(others)}")


def _covered(report: Path) -> set[str]:
    """The domains of a report; none where it cannot be read, which the stage that makes it refuses."""
    try:
        return set(json.loads((report / SUMMARY).read_text(encoding="utf-8"))["domains"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()
