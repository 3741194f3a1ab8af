"""Stages: collections of fundus photographs → good photographs as squares; good photographs → poor ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from biostyle.artifacts import BuildOptions, build
from biostyle.data.degradation import Defect
from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.prepare_degraded import prepare_degraded
from biostyle.data.prepare_fundus import FundusSettings, collect_fundus
from biostyle.data.prepare_fundus import prepare_fundus as write_domain


def prepare_fundus(
    data_root: Path, out: Path, settings: FundusSettings, split: GroupSplitSettings, *, options: BuildOptions
) -> Path:
    """Prepare domain A: the photographs that nobody called less than good.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered.
    out : Path
        Directory to make.
    settings : FundusSettings
        Which collections, and which size.
    split : GroupSplitSettings
        How patients are divided.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    folders = [data_root / source.folder for source in settings.folders]
    tables = [data_root / table for source in settings.folders for table in source.tables]
    if not any(path.is_relative_to(made) for made in options.pending for path in (*folders, *tables)):
        collect_fundus(data_root, settings)  # named before anything is hashed
    inputs = {f"folder_{number}": folder for number, folder in enumerate(folders)}
    inputs |= {f"table_{number}": table for number, table in enumerate(tables)}
    request = {"fundus": settings.model_dump(mode="json"), "split": split.model_dump(mode="json")}
    build(
        out,
        "prepare-fundus",
        request,
        inputs,
        lambda partial: write_domain(data_root, settings, split, partial),
        options,
    )
    return out


def degrade_fundus(
    clean: Path, out: Path, defects: Sequence[Defect], *, seed: int, n_draws: int = 1, options: BuildOptions
) -> Path:
    """Prepare a domain B: each good photograph degraded to usable and to rejected ones.

    Parameters
    ----------
    clean : Path
        Prepared good photographs.
    out : Path
        Directory to make.
    defects : sequence of {"illumination", "blur", "spots"}
        One for that defect alone, several for mixtures.
    seed : int
        Source of every random choice.
    n_draws : int
        How many of either, 1 to 8.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    build(
        out,
        "degrade-fundus",
        {"defects": list(defects), "seed": seed, "n_draws": n_draws},
        {"clean": clean},
        lambda partial: prepare_degraded(clean, defects, seed, partial, n_draws=n_draws),
        options,
    )
    return out
