"""Stages: collections of fundus photographs → good and poor ones as squares; good photographs → degraded ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from biostyle.artifacts import BuildOptions, build, write_json
from biostyle.data.degradation import Defect
from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.prepare_degraded import prepare_degraded
from biostyle.data.prepare_fundus import FundusFolder, FundusSettings, collect_fundus, collect_real
from biostyle.data.prepare_fundus import prepare_fundus as write_domain
from biostyle.data.prepare_fundus import prepare_real as write_real

LEFT_OUT = "left_out.json"  # why a real photograph was left out, by its id


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
    inputs = _delivered(data_root, settings.folders)
    if not _waits(inputs, options):
        collect_fundus(data_root, settings)  # named before anything is hashed
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


def prepare_real(
    data_root: Path,
    clean: Path,
    out: Path,
    settings: FundusSettings,
    folders: Sequence[FundusFolder],
    split: GroupSplitSettings,
    *,
    options: BuildOptions,
) -> Path:
    """Prepare a domain B of real photographs: those that nobody called good.

    One that cannot be read, shows no fundus or is among the good ones is left out; ``left_out.json`` says why.

    Parameters
    ----------
    data_root : Path
        Folder that holds the collections as delivered.
    clean : Path
        Prepared good photographs; patients of both keep their part.
    out : Path
        Directory to make.
    settings : FundusSettings
        What the good photographs were prepared with; not part of the request, because ``clean`` depends on it.
    folders : sequence of FundusFolder
        Which collections.
    split : GroupSplitSettings
        How patients are divided.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    inputs = _delivered(data_root, folders)
    if not _waits(inputs, options):
        collect_real(data_root, folders)  # named before anything is hashed

    def work(partial: Path) -> None:
        left_out = write_real(data_root, settings, folders, split, clean, partial, tell=options.progress.note)
        # the same wherever the data lie
        told = {frame_id: reason.replace(f"{data_root}/", "") for frame_id, reason in left_out.items()}
        write_json(partial / LEFT_OUT, told)

    request = {
        "folders": [folder.model_dump(mode="json") for folder in folders],
        "split": split.model_dump(mode="json"),
    }
    build(out, "prepare-real", request, {"clean": clean, **inputs}, work, options)
    return out


def _delivered(data_root: Path, folders: Sequence[FundusFolder]) -> dict[str, Path]:
    """The folders and tables of collections, as a stage's inputs."""
    tables = [data_root / table for source in folders for table in source.tables]
    inputs = {f"folder_{number}": data_root / source.folder for number, source in enumerate(folders)}
    return inputs | {f"table_{number}": table for number, table in enumerate(tables)}


def _waits(inputs: Mapping[str, Path], options: BuildOptions) -> bool:
    """Whether something that a dry run would fetch is among the inputs."""
    return any(path.is_relative_to(made) for made in options.pending for path in inputs.values())


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
