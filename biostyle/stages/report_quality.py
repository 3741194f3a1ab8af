"""Stage: judged photographs, translations and choices → the report on their quality."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from biostyle.artifacts import BuildOptions, build, fingerprint, versions
from biostyle.data.prepared import load_prepared, spread
from biostyle.inference.quality import EVALUATION
from biostyle.io.labels import read_labels
from biostyle.io.photographs import read_photograph
from biostyle.reporting.quality import Judged, JudgedDomain, QualityPanel, QualityReport
from biostyle.reporting.quality_page import write_quality_report
from biostyle.selection import IDENTITY
from biostyle.stages.choose_stylizer import read_choice
from biostyle.stages.judge_photographs import VESSELS, read_judged
from biostyle.stages.report import describe_machine
from biostyle.stages.stylize_photographs import translated_path


@dataclass(frozen=True)
class QualityDirectories:
    """The finished directories of one domain.

    Attributes
    ----------
    prepared : Path
        Its photographs.
    before : Path
        What was judged of them as they are.
    translated, judged : mapping of str to Path
        By candidate, the translations and what was judged of them.
    clean_judged : mapping of str to Path
        By candidate, what was judged of good photographs after it.
    choice : Path
        The choice among the candidates.
    ceiling : Path or None
        What a segmenter of vessels that was trained on such photographs sees in them as they are.
    """

    prepared: Path
    before: Path
    translated: Mapping[str, Path]
    judged: Mapping[str, Path]
    clean_judged: Mapping[str, Path]
    choice: Path
    ceiling: Path | None = None


def report_quality(
    domains: Mapping[str, QualityDirectories],
    out: Path,
    *,
    clean: Path,
    quality: Path,
    grader: Path,
    title: str,
    n_panels: int,
    config: dict[str, Any],
    command: str,
    options: BuildOptions,
) -> Path:
    """Write the report on the test part of every domain.

    Parameters
    ----------
    domains : mapping of str to QualityDirectories
        Finished directories; the verdict of the first is that of the summary.
    out : Path
        Directory to make: ``index.html``, ``report.md``, ``scores.csv`` and ``summary.json``.
    clean : Path
        What was judged of good photographs as they are.
    quality, grader : Path
        Model directories of the classifiers.
    title : str
        Heading.
    n_panels : int
        Photographs of each domain to show.
    config : dict
        The resolved configuration.
    command : str
        Command line to print; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    inputs = {"clean": clean, "quality": quality, "grader": grader}
    for name, directories in domains.items():
        for role, value in vars(directories).items():
            paths = {"": value} if isinstance(value, Path) else value or {}
            inputs |= {f"{name}.{role}.{row}".rstrip("."): path for row, path in paths.items()}

    def work(partial: Path) -> None:
        report = QualityReport(
            title=title,
            pipeline="fundus",
            domains=[_domain(name, directories, clean, n_panels) for name, directories in domains.items()],
            classifier=_evaluation(quality),
            grader=_evaluation(grader),
            settings=config,
            versions=versions(),
            fingerprints={name: fingerprint(directories.prepared) for name, directories in domains.items()},
            command=command,
            machine=describe_machine(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_quality_report(report, partial)

    request = {"title": title, "n_panels": n_panels, "config": config}
    build(out, "report-quality", request, inputs, work, options)
    return out


def _evaluation(model: Path) -> dict[str, Any]:
    """How a classifier does on held-back patients."""
    return json.loads((model / EVALUATION).read_text())


def _test(directory: Path) -> Judged:
    """The test part of what was judged."""
    table, features = read_judged(directory)
    chosen = (table["split"] == "test").to_numpy()
    return Judged(table[chosen].reset_index(drop=True), features[chosen])


def _domain(name: str, directories: QualityDirectories, clean: Path, n_panels: int) -> JudgedDomain:
    """Read everything one domain's section needs."""
    domain, choice = load_prepared(directories.prepared), read_choice(directories.choice)
    shown = choice["chosen"] if choice["chosen"] != IDENTITY else list(directories.judged)[-1]
    panels = [
        QualityPanel(
            row.frame_id,
            domain.read_image(row),
            read_photograph(translated_path(directories.translated[shown], row.frame_id)),
            *(
                read_labels(judged / VESSELS / f"{row.frame_id}.tif")
                for judged in (directories.before, directories.judged[shown])
            ),
        )
        for row in spread(domain.frames("test"), n_panels)
    ]
    return JudgedDomain(
        name=name,
        title=domain.title,
        before=_test(directories.before),
        candidates={row: _test(path) for row, path in directories.judged.items()},
        clean=_test(clean),
        clean_candidates={row: _test(path).table for row, path in directories.clean_judged.items()},
        ceiling=None if directories.ceiling is None else _test(directories.ceiling).table,
        choice=choice,
        panels=panels,
    )
