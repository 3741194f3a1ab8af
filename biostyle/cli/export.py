"""The verb ``export``: an adapted model for other people's programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

_PATH = click.Path(path_type=Path)


@click.command(short_help="Write an adapted model as ONNX, BioImage.IO or Hugging Face folder.")
@click.argument("model", type=_PATH)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, resolve_path=True),
    required=True,
    help="New file or, for huggingface, folder.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["onnx", "bioimageio", "huggingface"]),
    required=True,
    help="onnx: a graph with weights; bioimageio: a package (zip); huggingface: safetensors and a card.",
)
@click.option(
    "--part",
    type=click.Choice(["stylizer", "segmenter", "composition"]),
    help="What of it: the stylizer, the segmenter of stylized frames, or both. Default: composition.",
)
@click.option("--name", default="Adapted segmenter", show_default=True, help="Name of the package.")
@click.option("--author", "authors", multiple=True, help="Who made it; repeatable. bioimageio needs one.")
@click.option(
    "--license",
    "license_id",
    help="Licence you give the model, such as CC-BY-4.0. bioimageio needs one.",
)
def export(
    model: Path,
    out: Path,
    format_: Literal["onnx", "bioimageio", "huggingface"],
    part: Literal["stylizer", "segmenter", "composition"] | None,
    name: str,
    authors: tuple[str, ...],
    license_id: str | None,
) -> None:
    """Write MODEL, which is OUT/model of `biostyle adapt`, in another format. Nothing is uploaded."""
    if format_ == "huggingface":
        from biostyle.exporting.huggingface import export_huggingface

        if part:
            raise click.UsageError("--format huggingface writes the whole model. Leave --part out.")
        export_huggingface(model, out, (license_id or "other").lower())
    elif format_ == "bioimageio":
        if not authors or not license_id:
            raise click.UsageError("--format bioimageio needs --author and --license.")
        from biostyle.exporting.bioimageio import PackageFacts, export_bioimageio

        export_bioimageio(model, out, PackageFacts(name, authors, license_id), part or "composition")
    else:
        from biostyle.exporting.onnx import export_onnx

        export_onnx(model, out, part or "composition")
    click.echo(out)
