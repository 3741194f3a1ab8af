"""Stage: anybody's poor fundus photographs and a stylizer → better ones, on their own grid."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from biostyle.data.degradation import QUALITIES
from biostyle.data.field_of_view import find_field_of_view
from biostyle.data.retina_square import crop_photograph, restore_photograph, square_inside
from biostyle.devices import resolve_device
from biostyle.errors import ImageError, OutputError
from biostyle.inference.quality import QualityClassifier
from biostyle.io.atomic import write_atomically
from biostyle.io.photographs import read_photograph, write_photograph
from biostyle.progress import Progress
from biostyle.stages.quality_files import photographs_in
from biostyle.stages.stylize_photographs import Steps, Stylizer

TABLE = "quality.csv"


def enhance_files(
    images: Path,
    out: Path,
    steps: Steps,
    quality: Path,
    *,
    good_too: bool = False,
    device: str,
    progress: Progress,
) -> pd.DataFrame:
    """Translate photographs that are not good, and copy those that are.

    Parameters
    ----------
    images : Path
        A photograph, or a folder of them; only read.
    out : Path
        Folder to write to: ``NAME.tif`` for what was translated, a copy where the photograph was good already, and
        ``quality.csv``.
    steps : tuple of Path or EnhancementSettings
        Candidate directories with a generator ``gen_ba``, and how to enhance without one, in order.
    quality : Path
        Model directory of the classifier of quality.
    good_too : bool
        Whether to translate good photographs as well.
    device : str
        Where to compute.
    progress : Progress
        Whom to tell.

    Returns
    -------
    DataFrame
        One row a photograph: ``image, written, quality, p_good, quality_after, p_good_after, problem``. One that cannot be
        read, or shows no fundus, has a problem and is not written.

    Raises
    ------
    OutputError
        If ``out`` is, or lies in, the folder of the photographs, or holds results already.
    ImageError
        If there is no photograph.
    CheckpointError
        If the models are not what they should be.

    Notes
    -----
    The generator sees the square that it was trained on. What it changes there is enlarged and added to the photograph,
    which keeps its size and the detail that the square was too small to hold.
    """
    photographs = photographs_in(images)
    _check_apart(photographs, out)
    where = resolve_device(device)
    classifier, translate = QualityClassifier(quality, where), Stylizer(steps, where)
    rows: list[dict[str, Any]] = []
    for number, path in enumerate(photographs, start=1):
        row: dict[str, Any] = {"image": path.name}
        try:
            photograph = read_photograph(path)
            fov = find_field_of_view(photograph, str(path))
            square = crop_photograph(photograph, fov, classifier.size_px)
            row |= _rated(classifier, square, "")
            if row["quality"] == QUALITIES[0] and not good_too:
                out.mkdir(parents=True, exist_ok=True)
                written = Path(shutil.copyfile(path, out / path.name))
                after = square
            else:
                after = translate(square, square_inside(fov, len(square)))
                written = out / f"{path.stem}.tif"
                write_photograph(written, restore_photograph(after, square, fov, photograph))
            row |= {"written": written.name} | _rated(classifier, after, "_after")
        except ImageError as error:
            row |= {"problem": str(error)}
        rows.append(row)
        progress.update(number, len(photographs), {})
    columns = ["image", "written", "quality", "p_good", "quality_after", "p_good_after", "problem"]
    table = pd.DataFrame(rows, columns=columns)
    write_atomically(out / TABLE, table.to_csv(index=False, lineterminator="\n").encode())
    return table


def _rated(classifier: QualityClassifier, square: Any, when: str) -> dict[str, Any]:
    """The quality of a square, and how probably it is good."""
    probs = classifier.rate(square)
    return {f"quality{when}": QUALITIES[int(probs.argmax())], f"p_good{when}": float(probs[0])}


def _check_apart(photographs: list[Path], out: Path) -> None:
    """Refuse to write over photographs, over one another, or over older results."""
    folder, target = photographs[0].resolve().parent, out.resolve()
    if target == folder or folder in target.parents or target in folder.parents:
        raise OutputError(
            f"output must be a folder apart from the photographs, got {out} ({folder}). Choose another one."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"output must be empty or missing, got what is there ({out}). Remove it first.")
