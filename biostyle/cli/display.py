"""How progress and results look on a screen, or in a log."""

from __future__ import annotations

import json
import shlex
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as RichBar

LOG_WIDTH = 160
_NONE = "–"
_QUIET_SECONDS = 10  # work without losses is told of in a log only if it takes longer


class ScreenProgress:
    """One line a stage, and under it one bar with step, losses and remaining time.

    Where standard error is not a terminal the bar becomes about ten lines a stage, or none where it has no losses
    and takes seconds.

    Parameters
    ----------
    root : Path
        Directory the stages' names are shown relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.bar: RichBar | None = None
        self._task: Any = None
        self._first: tuple[int, float] | None = None
        self._tenth = 0

    @contextmanager
    def shown(self) -> Iterator[ScreenProgress]:
        """Show progress while the block runs.

        Yields
        ------
        ScreenProgress
            Itself.
        """
        if not sys.stderr.isatty():
            yield self
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[losses]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as self.bar:
            yield self

    def stage(self, name: str, status: str) -> None:
        """Say that a stage begins, is skipped or is resumed.

        Parameters
        ----------
        name : str
            The stage's directory.
        status : str
            What happens to it.
        """
        self._first, self._tenth = None, 0
        short = name.removeprefix(self.root).lstrip("/") or name
        if self.bar:
            if self._task is not None:
                self.bar.remove_task(self._task)
            self.bar.console.print(f"{short:<32} [dim]{status}", highlight=False)
            self._task = self.bar.add_task(short, total=None, losses="")
        else:
            click.echo(f"{short:<32} {status}", err=True)

    def update(self, step: int, n_steps: int, losses: dict[str, float]) -> None:
        """Say how far the stage under way is.

        Parameters
        ----------
        step : int
            Steps done.
        n_steps : int
            Steps in all.
        losses : dict of str to float
            Latest mean losses.
        """
        text = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
        now = time.monotonic()
        first_step, started = self._first = self._first or (step, now)
        if self.bar:
            self.bar.update(self._task, completed=step, total=n_steps, losses=text)
        elif step * 10 // n_steps > self._tenth and (losses or now - started > _QUIET_SECONDS):
            self._tenth = step * 10 // n_steps
            left = ""
            if step > first_step:  # a resumed training does not begin at step 0
                seconds = (now - started) / (step - first_step) * (n_steps - step)
                left = f", about {seconds:.0f} s left"
            click.echo(f"  step {step} of {n_steps}{left}  {text}".rstrip(), err=True)

    def note(self, text: str) -> None:
        """Say something worth a line.

        Parameters
        ----------
        text : str
            The remark.
        """
        if self.bar:
            self.bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text, err=True)


def command_line() -> str:
    """Return the command that is running, as it can be pasted into a shell.

    Returns
    -------
    str
        Program name and quoted arguments.
    """
    return shlex.join(["biostyle", *sys.argv[1:]])


def print_summary(report: Path, as_json: bool) -> None:
    """Print the before/after table of a finished report and say where the report is.

    Parameters
    ----------
    report : Path
        The report's directory.
    as_json : bool
        Print ``summary.json`` instead, and nothing else.
    """
    text = (report / "summary.json").read_text(encoding="utf-8")
    if as_json:
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.table import Table

    from biostyle.reporting import lesions, tables

    summary = json.loads(text)
    domains: dict[str, Any] = summary["domains"]
    scored = any(domain["n_scored"] for domain in domains.values())
    title = "Pixel F-score, mean per image [95 % interval]" if scored else "Nothing is scored: no masks"
    grid = Table(box=None)
    grid.add_column("")
    for name, domain in domains.items():
        counted = f"{domain['n_scored']} frames, {domain['reference']}" if domain["n_scored"] else "no masks"
        grid.add_column(f"{name}\n{counted}", justify="right")
    rows = dict(tables.overview_rows(summary))
    lines = [(row, list(map(_cell, rows.pop(row, [None] * len(domains))))) for row in ("before", "after")]
    lines.append(("difference", list(map(_difference, rows.pop("difference", [None] * len(domains))))))
    lines += [(row.lower(), cells) for row, cells in tables.race_rows(summary)]
    lines += [(tables.row_title(row), list(map(_cell, scores))) for row, scores in rows.items()]
    lines += lesions.measure_rows(summary)
    for row, cells in lines:
        if scored or set(cells) != {_NONE}:
            grid.add_row(row, *cells)
    console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
    console.print(title, style="table.title", highlight=False)  # a table would break it at its own width
    console.print(grid)
    click.echo(f"Report: {report / 'index.html'}")


def _cell(scores: dict[str, Any] | None) -> str:
    """An F-score with its interval."""
    if not scores or scores["f_score"] is None:
        return _NONE
    low, high = scores["ci95"]
    interval = "" if low is None else f" [{low:.2f}, {high:.2f}]"
    return f"{scores['f_score']:.3f}{interval}".replace("[", r"\[")


def _difference(difference: dict[str, Any] | None) -> str:
    """A signed difference with its interval."""
    if not difference or difference["value"] is None:
        return _NONE
    low, high = difference["ci95"]
    interval = "" if low is None else f" [{low:+.2f}, {high:+.2f}]"
    return f"{difference['value']:+.3f}{interval}".replace("[", r"\[")
