"""``biostyle data``: list, show, fetch, import and verify data sets."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from biostyle.data.cache import OnBytes
    from biostyle.data.manifest import Manifest

_name = click.argument("name")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
_root = click.option(
    "--data-root",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that holds the data sets. [default: $BIOSTYLE_DATA, else your cache folder]",
)


@click.group()
def data() -> None:
    """List, show, fetch, import and verify data sets.

    NAME is a data set of `biostyle data list`, or the path of your own manifest (.toml).
    """


@data.command("list")
@_root
@_json
def list_command(root: Path | None, as_json: bool) -> None:
    """List the data sets biostyle knows."""
    from biostyle.data.manifest import built_in_names, load_manifest

    rows = [_summary(load_manifest(name), root) for name in built_in_names()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    shown = [("NAME", "MODALITY", "DOWNLOAD", "ACCESS", "HERE")]
    shown += [
        (
            row["name"],
            row["modality"],
            _megabytes(row["size_bytes"]),
            row["access"],
            "yes" if row["here"] else "no",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for cells in shown:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


@data.command()
@_name
@_root
@_json
def show(name: str, root: Path | None, as_json: bool) -> None:
    """Show what NAME is, its terms, and whether it is here."""
    from biostyle.data.cache import data_root
    from biostyle.data.manifest import load_manifest
    from biostyle.data.terms import terms_accepted

    manifest = load_manifest(name)
    summary = _summary(manifest, root)
    summary["terms_accepted"] = terms_accepted(manifest, root)
    summary["folder"] = str(data_root(root) / manifest.name)
    if as_json:
        click.echo(json.dumps(manifest.model_dump() | summary, indent=2))
        return
    pixel = f"{manifest.pixel_size_um} µm" if manifest.pixel_size_um else "not stated"
    doi = f" (https://doi.org/{manifest.doi})" if manifest.doi else ""
    lines = {
        "title": manifest.title,
        "modality": manifest.modality,
        "pixel size": pixel,
        "download": f"{_megabytes(summary['size_bytes'])}, unpacked about {_megabytes(manifest.unpacked_bytes)}",
        "access": manifest.access,
        "homepage": manifest.homepage,
        "licence": manifest.licence,
        "terms": manifest.terms.strip()
        + (" [accepted]" if summary["terms_accepted"] else " [not accepted yet]"),
        "cite": manifest.citation + doi,
        "folder": summary["folder"] + (" [complete]" if summary["here"] else " [not here yet]"),
    }
    click.echo(manifest.name)
    for key, value in lines.items():
        click.echo(f"  {key + ':':<12}{value}")


@data.command()
@_name
@_root
@click.option("--accept-terms", is_flag=True, help="Accept the data set's terms; needed once.")
@click.option(
    "--from-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that already holds the archives; nothing is downloaded.",
)
def fetch(name: str, root: Path | None, accept_terms: bool, from_dir: Path | None) -> None:
    """Download NAME, check it and unpack it; prints the folder.

    A broken or killed download continues where it stopped when the command is run again.
    """
    from biostyle.data.cache import is_complete
    from biostyle.data.fetch import fetch as fetch_dataset
    from biostyle.data.manifest import load_manifest
    from biostyle.data.terms import terms_accepted
    from biostyle.errors import InterruptedRunError

    manifest = load_manifest(name)
    is_new = not is_complete(manifest.name, root)
    if is_new and manifest.access == "open" and not terms_accepted(manifest, root):
        click.echo(f"Terms of {manifest.name} ({manifest.homepage}):\n{manifest.terms.strip()}", err=True)
        if not accept_terms and _is_terminal("stdin"):
            accept_terms = click.confirm("Do you accept them?", err=True)
    try:
        with _progress_bar() as progress:
            folder = fetch_dataset(manifest, root, accept_terms, progress, from_dir)
    except KeyboardInterrupt as error:
        raise InterruptedRunError(
            f"fetch of {manifest.name} must finish before it can be used, got an interrupt. "
            "Run the same command again; it continues where it stopped."
        ) from error
    if not is_new:
        click.echo(f"{manifest.name} is complete already; nothing was done.", err=True)
    click.echo(str(folder))


@data.command("import")
@_name
@_root
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(path_type=Path),
    help="The archive, a folder that holds the archives, or the unpacked folder.",
)
def import_command(name: str, root: Path | None, source: Path) -> None:
    """Check and copy in NAME, which you obtained by hand; prints the folder."""
    from biostyle.data.fetch import import_dataset

    with _progress_bar() as progress:
        folder = import_dataset(name, source, root, progress)
    click.echo(str(folder))


@data.command()
@_name
@_root
def verify(name: str, root: Path | None) -> None:
    """Hash the files of NAME again and name those that are missing or altered."""
    from biostyle.data.cache import verify as verify_dataset

    with _progress_bar() as progress:
        n_files = verify_dataset(name, root, progress)
    click.echo(f"{name}: {n_files} files, all as they were when they were unpacked.")


def _summary(manifest: Manifest, root: Path | None) -> dict[str, Any]:
    """Gather what a list shows of a data set."""
    from biostyle.data.cache import is_complete

    return {
        "name": manifest.name,
        "title": manifest.title,
        "modality": manifest.modality,
        "access": manifest.access,
        "size_bytes": sum(file.size_bytes for file in manifest.files),
        "here": is_complete(manifest.name, root),
    }


def _megabytes(n_bytes: int) -> str:
    """Write a size for people; what has no archive to download is obtained by hand."""
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes else "by hand"


def _is_terminal(stream: Literal["stdin", "stderr"]) -> bool:
    """Tell whether somebody sits at the other end of a standard stream."""
    return bool(getattr(sys, stream).isatty())


@contextmanager
def _progress_bar() -> Iterator[OnBytes | None]:
    """Show one bar a step where somebody is looking at a terminal; nothing otherwise."""
    if not _is_terminal("stderr"):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show_step(step: str, done_bytes: int, total_bytes: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=None)
            bars.update(tasks[step], completed=done_bytes, total=total_bytes or None)

        yield show_step
