"""Stage: a delivered challenge folder → a checked, split, uniformly named domain."""

from __future__ import annotations

from pathlib import Path

from biostyle.artifacts import BuildOptions, build
from biostyle.data.prepare import DomainSettings, prepare_domain
from biostyle.data.sources.cell_tracking import read_sequences
from biostyle.data.splits import SplitSettings


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
