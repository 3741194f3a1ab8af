"""Stages: a delivered challenge folder → a checked, split, uniformly named domain; any folder → such a domain, undivided."""

from __future__ import annotations

from pathlib import Path

from biostyle.artifacts import BuildOptions, build
from biostyle.data.prepare import DomainSettings, prepare_domain
from biostyle.data.prepare import prepare_folder as write_folder
from biostyle.data.prepared import check_unseen, load_prepared
from biostyle.data.sources.cell_tracking import read_sequences
from biostyle.data.sources.folder import read_folder
from biostyle.data.splits import Part, SplitSettings


def prepare(
    data_root: Path,
    out: Path,
    domain: DomainSettings,
    split: SplitSettings,
    *,
    annotated: bool,
    options: BuildOptions,
) -> Path:
    """Prepare one domain.

    Parameters
    ----------
    data_root : Path
        Folder that holds the challenge's folders as delivered.
    out : Path
        Directory to make.
    domain : DomainSettings
        Which folder, and what to derive from it.
    split : SplitSettings
        How frames are divided.
    annotated : bool
        Whether training frames must have masks, as in domain A.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    folder = data_root / domain.folder
    if folder not in options.pending:
        read_sequences(folder)  # a wrong folder is named before anything is hashed
    settings = {
        "domain": domain.model_dump(mode="json"),
        "split": split.model_dump(mode="json"),
        "annotated": annotated,
    }

    def work(partial: Path) -> None:
        prepare_domain(data_root, domain, split, partial, require_train_masks=annotated)

    build(out, "prepare", settings, {"folder": folder}, work, options)
    return out


def prepare_folder(
    images: Path,
    masks: Path | None,
    out: Path,
    *,
    name: str,
    part: Part,
    unlike: Path | None = None,
    options: BuildOptions,
) -> Path:
    """Prepare a plain folder, without dividing it.

    Parameters
    ----------
    images : Path
        Folder of images of any names, or a challenge folder.
    masks : Path or None
        Folder of their masks, for all or some of them; they may not be looked at where it is not given.
    out : Path
        Directory to make.
    name : str
        What its frames are known by across domains.
    part : {"train", "test"}
        What all of them are for.
    unlike : Path or None
        A prepared domain whose annotated frames must not be among these.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    SplitError
        If a frame is among the annotated ones of ``unlike``.
    """
    read_folder(images, masks)  # a wrong folder is named before anything is hashed

    def work(partial: Path) -> None:
        write_folder(images, masks, partial, name=name, part=part)
        if unlike is not None:
            check_unseen(load_prepared(partial), load_prepared(unlike))

    given = {"images": images, "masks": masks, "unlike": unlike}
    inputs = {key: path for key, path in given.items() if path is not None}
    build(out, "prepare-folder", {"name": name, "part": part}, inputs, work, options)
    return out
