"""Stage: scores, predictions and training histories → the before/after report."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from biostyle.artifacts import BuildOptions, build, fingerprint, versions
from biostyle.data.prepared import PreparedDomain, PreparedFrame, load_prepared, spread
from biostyle.io.frames import read_frame
from biostyle.io.labels import labels_to_mask, read_labels
from biostyle.io.photographs import read_photograph
from biostyle.metrics.structure import (
    FlagSettings,
    change_reasons,
    foreground_fraction,
    fraction_reasons,
    plausible_fractions,
    structure_change,
)
from biostyle.reporting.document import DomainResult, Panel, Report
from biostyle.reporting.render import write_report
from biostyle.stages.predict import result_path
from biostyle.stages.score import read_scores
from biostyle.stages.select import read_choice


@dataclass(frozen=True)
class DomainDirectories:
    """The finished directories of one domain.

    Attributes
    ----------
    prepared : Path
        Its frames and masks.
    scores : Path
        Its score tables.
    before : Path
        Predictions without adaptation.
    after : Path or None
        Predictions of the chosen candidate; none for domain A.
    training : Path or None
        Where the ``history.csv`` to draw is: the stylizer's, or the segmenter's for domain A.
    choice : Path or None
        The choice among the candidates.
    deterministic : Path or None
        Predictions of the deterministic candidate, to compare those of a learned one with.
    """

    prepared: Path
    scores: Path
    before: Path
    after: Path | None = None
    training: Path | None = None
    choice: Path | None = None
    deterministic: Path | None = None


def report(
    domains: Mapping[str, DomainDirectories],
    out: Path,
    *,
    title: str,
    pipeline: str,
    config: dict[str, Any],
    command: str,
    published: Mapping[str, Mapping[str, float]] | None,
    published_measures: Mapping[str, Mapping[str, float]] | None = None,
    supervised: Sequence[str] = (),
    options: BuildOptions,
) -> Path:
    """Write the report.

    Parameters
    ----------
    domains : mapping of str to DomainDirectories
        Finished directories by domain, in the order of the table.
    out : Path
        Directory to make: ``index.html``, ``report.md``, ``scores.csv`` and ``summary.json``.
    title : str
        Heading.
    pipeline : str
        Name of the pipeline.
    config : dict
        The resolved configuration, with ``seed``, ``score`` and ``report``; ``domain_a``, ``domains.NAME.title`` and
        ``report.flags`` are used where they are there.
    command : str
        Command line to print; not part of the request.
    published : mapping or None
        F-scores to show beside this run's, by domain and row.
    published_measures : mapping or None
        For skin lesions: measures to show beside this run's, by title and measure, in per cent.
    supervised : sequence of str
        Rows that saw B's labels and are never candidates.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    inputs = {
        f"{name}.{role}": path
        for name, directories in domains.items()
        for role, path in vars(directories).items()
        if path is not None
    }

    def work(partial: Path) -> None:
        flag_settings = FlagSettings.model_validate(config["report"].get("flags", {}))
        annotated = domains.get(config.get("domain_a", ""))
        plausible = plausible_fractions(_fractions(annotated.prepared) if annotated else [], flag_settings)
        titles = {name: settings["title"] for name, settings in config.get("domains", {}).items()}
        document = Report(
            title=title,
            pipeline=pipeline,
            domains=[
                _domain_result(
                    name,
                    directories,
                    title=titles.get(name),
                    n_panels=config["report"]["n_panels"],
                    flags=_flags(directories, plausible, flag_settings),
                )
                for name, directories in domains.items()
            ],
            settings=config,
            versions=versions(),
            fingerprints={name: fingerprint(directories.prepared) for name, directories in domains.items()},
            command=command,
            machine=describe_machine(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            published=published,
            block_length=config["score"]["block_length"],
            n_resamples=config["score"]["n_resamples"],
            seed=config["seed"],
            published_measures=published_measures,
            supervised=supervised,
        )
        write_report(document, partial)

    build(out, "report", {"title": title, "pipeline": pipeline, "config": config}, inputs, work, options)
    return out


def describe_machine() -> str:
    """Describe the machine in a few words.

    Returns
    -------
    str
        Operating system, processor architecture and number of CPU threads, on which the last digits depend.
    """
    return f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} CPU threads"


def _domain_result(
    name: str,
    directories: DomainDirectories,
    *,
    title: str | None,
    n_panels: int,
    flags: list[dict[str, Any]],
) -> DomainResult:
    """Read everything one domain's section needs."""
    domain = load_prepared(directories.prepared)
    reference, tables, notes = read_scores(directories.scores)
    rows = domain.with_truth("test", reference)
    history = directories.training / "history.csv" if directories.training else None
    return DomainResult(
        name=name,
        title=title or domain.title,
        reference=reference,
        n_scored=len(rows),
        n_frames=len(domain.rows),
        tables=tables.pop(reference),
        panels=[_panel(domain, row, reference, directories) for row in spread(rows, n_panels)],
        losses=pd.read_csv(history) if history else None,
        notes=notes,
        secondary=tables,
        choice=read_choice(directories.choice) if directories.choice else None,
        flags=flags,
    )


def _fractions(prepared_a: Path) -> list[float]:
    """Foreground fractions of A's training masks."""
    domain = load_prepared(prepared_a)
    return [foreground_fraction(domain.read_truth(row)[0]) for row in domain.with_truth("train")]


def _flags(
    directories: DomainDirectories, plausible: tuple[float, float], settings: FlagSettings
) -> list[dict[str, Any]]:
    """Compare the chosen candidate's mask of every test frame with what other masks show, without truth."""
    before, after = directories.before, directories.after
    if after is None:
        return []
    deterministic = None if directories.deterministic in (before, after) else directories.deterministic
    flags = []
    for row in load_prepared(directories.prepared).frames("test"):
        mask = read_labels(result_path(after, row))
        change = structure_change(read_labels(result_path(before, row)), mask, settings)
        reasons = change_reasons(change, settings)
        if deterministic:
            matched = structure_change(read_labels(result_path(deterministic, row)), mask, settings)
            reasons += [f"against matching only: {reason}" for reason in change_reasons(matched, settings)]
        flags.append(
            {
                "frame": row.frame_id,
                "n_objects_before": change.n_before,
                "n_objects_after": change.n_after,
                "vanished": change.vanished,
                "appeared": change.appeared,
                "fraction_before": change.fraction_before,
                "fraction": change.fraction_after,
                "flagged": reasons + fraction_reasons(change.fraction_after, plausible, settings),
            }
        )
    return flags


def _panel(
    domain: PreparedDomain, row: PreparedFrame, reference: str, directories: DomainDirectories
) -> Panel:
    """Read the images of one frame."""

    def mask(predictions: Path) -> Any:
        return labels_to_mask(read_labels(result_path(predictions, row)))

    after = directories.after
    read = read_photograph if domain.colour else read_frame
    stylized = after / "stylized" / f"{row.frame_id}.tif" if after else None
    return Panel(
        image_id=row.frame_id,
        image=domain.read_image(row),
        stylized=read(stylized) if stylized and stylized.is_file() else None,
        before=mask(directories.before),
        after=mask(after) if after else None,
        truth=domain.read_truth(row, reference)[0],
    )
