"""The command line: one thin command a verb.

In: arguments. Out: calls of pipelines, stages and library functions, and what they report drawn on the screen. Nothing is
computed here, and nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from biostyle import __version__
from biostyle.cli.adapt import adapt
from biostyle.cli.compare import compare
from biostyle.cli.data import data
from biostyle.cli.demo import demo
from biostyle.cli.export import export
from biostyle.cli.inspect import inspect
from biostyle.cli.process import preview, segment, stylize
from biostyle.cli.quality import enhance, quality, quality_report
from biostyle.cli.report import report
from biostyle.cli.run import run
from biostyle.cli.score import score
from biostyle.cli.stages import (
    adapt_statistics,
    fetch,
    match,
    predict,
    prepare,
    retrain,
    select,
    train_segmenter,
    train_stylizer,
)
from biostyle.errors import BiostyleError, InterruptedRunError

COMMANDS = (
    demo, run, adapt, preview, stylize, segment, export, data, fetch, prepare, train_segmenter, match, adapt_statistics,
    train_stylizer, retrain, select, predict, score, report, compare, inspect, quality, quality_report, enhance,
)  # fmt: skip


class _Group(click.Group):
    """Keep the commands in the order of a run, and turn errors made on purpose into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BiostyleError as error:
            click.echo(f"{type(error).__name__}: {error}", err=True)
            raise SystemExit(error.exit_code) from error
        except KeyboardInterrupt:
            click.echo("Stopped. Run the same command again; finished stages are kept.", err=True)
            raise SystemExit(InterruptedRunError.exit_code) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="biostyle")
def cli() -> None:
    """Bring images of a new microscope to the style a segmenter knows, and measure whether that helped."""


for command in COMMANDS:
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str or None
        Arguments without the program's name; those of the process by default.
    """
    cli.main(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="biostyle")
