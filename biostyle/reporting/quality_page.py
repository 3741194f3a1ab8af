"""Write a report on the quality of photographs: HTML in one file, and the same numbers as Markdown, CSV and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from biostyle.io.atomic import write_atomically
from biostyle.reporting import figures, tables
from biostyle.reporting.document import BEFORE
from biostyle.reporting.quality import (
    TITLES,
    JudgedDomain,
    QualityPanel,
    QualityReport,
    judged_frame,
    summarise_quality,
)
from biostyle.reporting.render import HTML, MARKDOWN, SCORES, SUMMARY, squeeze, template_environment
from biostyle.types import NDArray

_TEMPLATES = ("quality.html.j2", "quality.md.j2", "style.css")


def write_quality_report(report: QualityReport, out_dir: Path) -> Path:
    """Write a report into a directory.

    Parameters
    ----------
    report : QualityReport
        What to say.
    out_dir : Path
        Directory to write into; made if it is not there. Files of an earlier report are overwritten.

    Returns
    -------
    Path
        ``out_dir/index.html``, which needs no other file and no network; beside it ``report.md``, ``scores.csv`` and
        ``summary.json``.

    Raises
    ------
    OutputError
        If the directory cannot be made or written.

    Notes
    -----
    The same report gives the same bytes.
    """
    out_dir, summary = Path(out_dir), summarise_quality(report)
    environment = template_environment(_TEMPLATES)
    content = {
        "report": report,
        "summary": summary,
        "headline": headline(summary),
        "titles": TITLES,
        "settings": tables.flatten(report.settings),
        "panels": {domain.name: _panels(domain) for domain in report.domains},
        "legend": [
            (f"rgb{figures.TRUE_POSITIVE}", "vessel before and after"),
            (f"rgb{figures.FALSE_POSITIVE}", "vessel after alone"),
            (f"rgb{figures.FALSE_NEGATIVE}", "vessel before alone"),
        ],
    }
    texts = {
        HTML: environment.get_template("quality.html.j2").render(content),
        MARKDOWN: squeeze(environment.get_template("quality.md.j2").render(content)),
        SCORES: judged_frame(report).to_csv(index=False, lineterminator="\n"),
        SUMMARY: json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    for name, text in texts.items():
        write_atomically(out_dir / name, text.encode())
    return out_dir / HTML


def headline(summary: dict[str, Any]) -> str:
    """Say in one sentence what happened.

    Parameters
    ----------
    summary : dict
        Of :func:`biostyle.reporting.quality.summarise_quality`.

    Returns
    -------
    str
        A sentence or two.
    """
    shift = summary["quality"]["net_shift_to_good"]
    if shift["value"] is None:
        return "No photograph was less than good before translation: there is nothing to gain."
    if summary["chosen"] == BEFORE:
        return "No candidate is worth its cost: leave the photographs as they are."
    low, high = shift["ci95"]
    between = "" if low is None else f" (95 % interval {low:+.1%} to {high:+.1%})"
    return (
        f"Of {shift['n']} photographs that were not good, a net {shift['value']:+.1%}{between} become good by translation, "
        f"beyond the {shift['noise_floor']:.1%} that the classifier would call good by mistake."
    )


def _panels(domain: JudgedDomain) -> list[dict[str, Any]]:
    """Draw the photographs to look at."""
    return [{"image_id": panel.image_id, "tiles": _tiles(panel)} for panel in domain.panels]


def _tiles(panel: QualityPanel) -> list[dict[str, Any]]:
    """Draw the pictures of one panel, left to right."""

    def tile(title: str, pixels: NDArray, alt: str) -> dict[str, Any]:
        return {"title": title, "png": figures.tile_png(pixels), "alt": alt}

    difference = panel.after.astype(np.int16) - panel.before
    shown = np.clip(128 + difference, 0, 255).astype(np.uint8)
    tiles = [
        tile("Original", panel.before, "photograph before translation"),
        tile("Translated", panel.after, "photograph after translation"),
        tile("Difference", shown, "after less before; gray where nothing changes"),
    ]
    if panel.vessels_before is not None and panel.vessels_after is not None:
        drawn = figures.overlay(panel.after, panel.vessels_after, panel.vessels_before)
        tiles.append(tile("Vessels", drawn, "vessels seen before and after translation"))
    return tiles
