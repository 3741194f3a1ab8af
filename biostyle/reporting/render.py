"""Write a report: HTML in one file, and the same numbers as Markdown, CSV and JSON."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from biostyle.io.atomic import write_atomically
from biostyle.reporting import figures, findings, lesions, tables
from biostyle.reporting.document import AFTER, BASELINES, BEFORE, DomainResult, Panel, Report
from biostyle.types import NDArray

HTML = "index.html"
MARKDOWN = "report.md"
SCORES = "scores.csv"
SUMMARY = "summary.json"
FILES = (HTML, MARKDOWN, SCORES, SUMMARY)

_TEMPLATES = ("index.html.j2", "report.md.j2", "style.css")
_MARKS = {
    "better": "▲", "worse": "▼", "unclear": "◆", "unknown": "?", "rejected": "▽", "caution": "!", "unadapted": "○",
}  # fmt: skip
_LEGEND = (
    (figures.TRUE_POSITIVE, "true positive (TP)"),
    (figures.FALSE_POSITIVE, "false positive (FP)"),
    (figures.FALSE_NEGATIVE, "false negative (FN)"),
)


def write_report(report: Report, out_dir: Path) -> Path:
    """Write a report into a directory.

    Parameters
    ----------
    report : Report
        What to say.
    out_dir : Path
        Directory to write into; made if it is not there. Files of an earlier report are overwritten.

    Returns
    -------
    Path
        ``out_dir/index.html``, which needs no other file and no network.

    Raises
    ------
    OutputError
        If the directory cannot be made or written.

    Notes
    -----
    The same report gives the same bytes.
    """
    out_dir = Path(out_dir)
    summary = tables.summarise_report(report)
    content = _content(report, summary)
    environment = template_environment(_TEMPLATES)
    texts = {
        HTML: environment.get_template("index.html.j2").render(content),
        MARKDOWN: squeeze(environment.get_template("report.md.j2").render(content)),
        SCORES: tables.scores_frame(report).to_csv(index=False, lineterminator="\n"),
        SUMMARY: json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    for name, text in texts.items():
        write_atomically(out_dir / name, text.encode())
    return out_dir / HTML


def template_environment(names: Sequence[str]) -> Environment:
    """Read templates that travel with the package, with the filters they write numbers by.

    Parameters
    ----------
    names : sequence of str
        Files of the folder of templates.

    Returns
    -------
    Environment
        HTML escapes every value, and a name that is not there is an error.
    """
    folder = files("biostyle.reports.templates")
    environment = Environment(
        loader=DictLoader({name: (folder / name).read_text(encoding="utf-8") for name in names}),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=tables.format_score,
        signed=tables.format_signed,
        interval=_interval,
        measure=_measure,
        share=tables.format_share,
        row_title=tables.row_title,
        percent=lesions.format_percent,
        percent_interval=lesions.format_percent_interval,
        md=_escape_markdown,
        svg_uri=lambda svg: _data_uri("image/svg+xml", svg.encode()),
        png_uri=lambda png: _data_uri("image/png", png),
    )
    environment.globals["first_baseline"] = _first_baseline
    return environment


def _content(report: Report, summary: dict[str, Any]) -> dict[str, Any]:
    """Gather what both templates show."""
    titles = {domain.name: domain.title for domain in report.domains}
    return {
        "report": report,
        "domains": [_domain(domain, summary["domains"][domain.name]) for domain in report.domains],
        "headline": findings.headline(summary, titles),
        "findings": findings.findings(summary, titles),
        "overview": tables.overview_rows(summary),
        "race": tables.race_rows(summary),
        "published": list(dict.fromkeys(row for rows in (report.published or {}).values() for row in rows)),
        "overview_plot": figures.overview_plot(summary["domains"], titles),
        "settings": tables.flatten(report.settings),
        "effects": findings.EFFECTS,
        "marks": _MARKS,
        "measure_titles": lesions.MEASURE_TITLES,
        "legend": [(f"rgb{colour}", text) for colour, text in _LEGEND],
    }


def _domain(domain: DomainResult, summary: dict[str, Any]) -> dict[str, Any]:
    """Gather what the section of one domain shows."""
    per_image = tables.per_image(domain)
    groups = [name for name in (BEFORE, AFTER) if name in domain.tables]
    paired_plot = None
    if AFTER in groups and domain.n_scored:
        before, after = (per_image[(name, "f_score")].to_numpy() for name in groups)
        paired_plot = figures.paired_plot(before, after, summary["difference"])
    return {
        "result": domain,
        "summary": summary,
        "effect": findings.effect(summary),
        "n_undefined": max(summary[name]["n_undefined"] for name in groups),
        "rows": tables.score_rows(summary),
        "differences": tables.difference_rows(summary),
        "measures": _measure_names(summary),
        "flagged": [flag for flag in domain.flags if flag["flagged"]],
        "secondary": [
            (reference, list(rows.items())) for reference, rows in summary.get("secondary", {}).items()
        ],
        "groups": groups,
        "per_image": list(zip(per_image.index, per_image.to_dict("records"), strict=True)),
        "paired_plot": paired_plot,
        "loss_plot": None if domain.losses is None else figures.loss_plot(domain.losses),
        "loss_names": [] if domain.losses is None else [name for name in domain.losses if name != "step"],
        "panels": [{"image_id": panel.image_id, "tiles": _tiles(panel, domain)} for panel in domain.panels],
    }


def _tiles(panel: Panel, domain: DomainResult) -> list[dict[str, Any]]:
    """Draw the pictures of one panel, left to right."""

    def tile(title: str, pixels: NDArray, alt: str, detail: str = "") -> dict[str, Any]:
        return {"title": title, "png": figures.tile_png(pixels), "alt": alt, "detail": detail}

    tiles = [tile("Image", figures.stretch(panel.image), "frame as acquired, contrast stretched")]
    if panel.stylized is not None:
        tiles.append(tile("Stylized", figures.stretch(panel.stylized), "frame in the style of domain A"))
    for name, pred in ((BEFORE, panel.before), (AFTER, panel.after)):
        if pred is not None:
            score = tables.format_score(_image_score(domain, name, panel.image_id))
            pixels = figures.overlay(panel.image, pred, panel.truth)
            alt = f"prediction {name} adaptation against the truth, F {score}"
            tiles.append(tile(tables.row_title(name), pixels, alt, f"F {score}"))
    truth = figures.overlay(panel.image, panel.truth, panel.truth)
    return [*tiles, tile("Truth", truth, "reference mask, in yellow")]


def _image_score(domain: DomainResult, row: str, image_id: str) -> float | None:
    """Look up one image's F-score."""
    table = domain.tables[row]
    found = table.loc[table["image_id"] == image_id, "f_score"]
    return None if found.empty else float(found.iloc[0])


def _measure_names(summary: dict[str, Any]) -> list[str]:
    """Name the label-free measures that candidates have, in their order."""
    candidates = summary.get("candidates", {}).values()
    return list(dict.fromkeys(name for row in candidates for name in row.get("label_free_measures", {})))


def _first_baseline(rows: list[tuple[str, Any]]) -> str | None:
    """Name the first trivial baseline among rows, above which a rule is drawn."""
    return next((name for name, _ in rows if name in BASELINES), None)


def _interval(ci95: list[float | None], *, signed: bool = False) -> str:
    """Write an interval for a template."""
    return tables.format_interval(ci95, tables.format_signed if signed else tables.format_score)


def _measure(value: Any) -> str:
    """Write a label-free measure, whatever it counts."""
    if value is None:
        return tables.MISSING
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _data_uri(kind: str, content: bytes) -> Markup:
    """Put a picture into the page itself."""
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode()}")


def _escape_markdown(value: Any) -> str:
    """Keep a value from being read as Markdown or HTML, or from ending its table row."""
    text = re.sub(r"\s+", " ", str(value))
    return re.sub(r"([\\`*\[\]|<>#&])", r"\\\1", text)


def squeeze(text: str) -> str:
    r"""Remove the runs of blank lines that template tags leave behind.

    Parameters
    ----------
    text : str
        Markdown.

    Returns
    -------
    str
        The same with at most one blank line in a row, and one newline at its end.

    Examples
    --------
    >>> squeeze("a\n\n\n\nb")
    'a\n\nb\n'
    """
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
