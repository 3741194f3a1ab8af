"""Stage: collections of skin photographs as delivered → a checked domain, divided by lesion."""

from __future__ import annotations

from pathlib import Path

from biostyle.artifacts import BuildOptions, build
from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.prepare_photographs import (
    PhotographDomainSettings,
    collect_photographs,
)
from biostyle.data.prepare_photographs import prepare_photographs as write_domain
from biostyle.data.prepared import load_prepared


def prepare_photographs(
    data_root: Path,
    out: Path,
    domain: PhotographDomainSettings,
    split: GroupSplitSettings,
    *,
    annotated: bool,
    beside: Path | None = None,
    options: BuildOptions,
) -> Path:
    """Prepare one domain of photographs.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered.
    out : Path
        Directory to make.
    domain : PhotographDomainSettings
        Which collections.
    split : GroupSplitSettings
        How lesions are divided.
    annotated : bool
        Whether every photograph must have a mask, as in domain A.
    beside : Path or None
        The other domain, prepared before: photographs that are in both go to the part they have there.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    folders = [data_root / source.folder for source in domain.folders]
    if not options.pending & set(folders):
        collect_photographs(data_root, domain, needs_masks=annotated)  # named before anything is hashed
    inputs = {f"folder_{number}": folder for number, folder in enumerate(folders)}
    if beside is not None:
        inputs["beside"] = beside
    settings = {
        "domain": domain.model_dump(mode="json"),
        "split": split.model_dump(mode="json"),
        "annotated": annotated,
    }

    def work(partial: Path) -> None:
        other = load_prepared(beside) if beside is not None else None
        write_domain(data_root, domain, split, partial, needs_masks=annotated, beside=other)

    build(out, "prepare-photographs", settings, inputs, work, options)
    return out
