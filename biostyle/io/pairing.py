"""Pair the files of two folders by image id, with the Cell Tracking Challenge's names understood."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from biostyle.errors import PairingError

Role = Literal["prediction", "truth", "image"]
Reference = Literal["gold", "silver"]
_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg"}
_FRAME = re.compile(r"(?:(\d{2})_)?(?:mask|man_seg|t)(\d{3,4})")
_SEQUENCE = re.compile(r"(\d{2})(?:_(?:RES|GT|ST))?")
# In a challenge tree, the folders that hold what is looked for; without one, every image counts.
_FOLDER = {
    "prediction": re.compile(r"(^|/)\d{2}_RES/[^/]+$"),
    "truth": re.compile(r"(^|/)SEG/[^/]+$"),
    "image": re.compile(r"(^|/)\d{2}/[^/]+$"),
}
_REFERENCE_FOLDER = {"gold": "GT", "silver": "ST"}


@dataclass(frozen=True)
class Pair:
    """One prediction, or one image, and the truth that belongs to it.

    Parameters
    ----------
    image_id : str
        Stem both share, such as ``ISIC_0000042``, or ``01_t007`` for frame 7 of a challenge's sequence 01.
    prediction : Path
        File of the prediction (of the image, where images are paired).
    truth : Path
        File of the truth.
    """

    image_id: str
    prediction: Path
    truth: Path


def pair_by_id(
    predictions: Path | str,
    truth: Path | str,
    *,
    sparse_truth: bool = False,
    allow_missing: bool = False,
    reference: Reference | None = None,
    role: Role = "prediction",
) -> list[Pair]:
    """Pair predictions with truth and refuse leftovers.

    Parameters
    ----------
    predictions : Path or str
        A file or a folder, flat or a tree. In a challenge tree only ``NN_RES`` counts.
    truth : Path or str
        A file or a folder, likewise. In a challenge tree only ``SEG`` folders count.
    sparse_truth : bool
        Allow predictions without truth, as with the challenge's gold reference; they are left out.
    allow_missing : bool
        Allow truth without a prediction; it is left out.
    reference : {"gold", "silver"}, optional
        Which of ``NN_GT`` and ``NN_ST`` to use in a tree that holds both.
    role : {"prediction", "image"}
        What `predictions` holds; with "image" only folders ``NN`` count in a challenge tree.

    Returns
    -------
    list of Pair
        In order of sequence and frame number, or of the stem.

    Raises
    ------
    PairingError
        If a folder is missing or empty, a file has no counterpart, nothing has one, or an id occurs twice.

    Notes
    -----
    ``maskNNN``, ``man_segNNN`` and ``tNNN`` (three or four digits) are the same frame. Two single files are a
    pair whatever their names. Where one side names no sequence and the other names exactly one, it is that
    one.
    """
    predictions, truth = Path(predictions), Path(truth)
    if predictions.is_file() and truth.is_file():
        return [Pair(_name(_identity(predictions, predictions)), predictions, truth)]
    found = _files(predictions, role, None)
    wanted = _files(truth, "truth", reference)
    found, wanted = _adopt_sequence(found, wanted), _adopt_sequence(wanted, found)
    paired = wanted.keys() & found.keys()
    if not allow_missing or not paired:
        remedy = "Add the files"
        remedy += ", or score the others with --allow-missing." if role == "prediction" and paired else "."
        _refuse(wanted.keys() - found.keys(), f"truth must have {_article(role)}", predictions, remedy)
    if not sparse_truth:
        remedy = "Pass --sparse where only some frames are annotated, or remove them."
        _refuse(found.keys() - wanted.keys(), f"{role} must have a truth", truth, remedy)
    return [Pair(_name(key), found[key], wanted[key]) for key in sorted(paired, key=_order)]


def files_by_id(path: Path | str, role: Role, *, reference: Reference | None = None) -> dict[str, Path]:
    """List the images of a file, a folder or a challenge tree by their id.

    Parameters
    ----------
    path : Path or str
        A file or a folder, flat or a tree.
    role : {"prediction", "truth", "image"}
        What to look for in a challenge tree: ``NN_RES``, ``NN_GT/SEG`` or ``NN_ST/SEG``, or ``NN``.
    reference : {"gold", "silver"}, optional
        Which truth to take in a tree that holds both.

    Returns
    -------
    dict of str to Path
        Files by image id, in order of sequence and frame number, or of the stem.

    Raises
    ------
    PairingError
        If there is no image, an id occurs twice, or a truth tree holds two references and none was chosen.
    """
    files = _files(Path(path), role, reference)
    return {_name(key): files[key] for key in sorted(files, key=_order)}


# A key is (sequence, frame number or -1, stem); the stem is empty where the frame number says it all.
_Key = tuple[str, int, str]


def _files(path: Path, role: Role, reference: Reference | None) -> dict[_Key, Path]:
    """Return the image files below a path by key."""
    if path.is_file():
        return {_identity(path, path): path}
    if not path.is_dir():
        raise PairingError(f"{role} must be a file or folder that exists, got {path}. Check the path.")
    images = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in _SUFFIXES and file.is_file() and not file.name.startswith(".")
    )
    images = [file for file in images if _FOLDER[role].search(_within(file, path))] or images
    if role == "truth":
        images = _of_reference(images, path, reference)
    if not images:
        formats = ", ".join(sorted(_SUFFIXES))
        raise PairingError(
            f"{role} must hold at least one image ({formats}), got none ({path}). Check the folder."
        )
    files: dict[_Key, Path] = {}
    for file in images:
        key = _identity(file, path)
        if key in files:
            raise PairingError(
                f"{role} must hold each id once, got {_name(key)} in {files[key]} and {file}. "
                "Remove or rename one."
            )
        files[key] = file
    return files


def _of_reference(images: list[Path], path: Path, reference: Reference | None) -> list[Path]:
    """Keep the truth of one reference; a tree that holds both needs a choice."""
    by_reference = {
        name: [file for file in images if f"_{suffix}/SEG/" in f"{path.name}/{_within(file, path)}"]
        for name, suffix in _REFERENCE_FOLDER.items()
    }
    if reference is not None:
        return by_reference[reference]
    if all(by_reference.values()):
        raise PairingError(
            f"truth must hold one reference, got gold and silver ({path}). "
            "Choose with --reference gold or --reference silver."
        )
    return images


def _within(file: Path, path: Path) -> str:
    """Return a file's path from the given folder's own name on."""
    return file.relative_to(path.parent).as_posix()


def _identity(file: Path, path: Path) -> _Key:
    """Return sequence, frame number and stem of a file found below a path."""
    frame = _FRAME.fullmatch(file.stem)
    if frame is None:
        return ("", -1, file.stem)
    if frame[1]:
        return (frame[1], int(frame[2]), "")
    top = path.absolute().parent if path.name == "SEG" else path.absolute()
    folders = file.absolute().relative_to(top.parent).parts[:-1]
    matches = [match for folder in reversed(folders) if (match := _SEQUENCE.fullmatch(folder))]
    return (matches[0][1] if matches else "", int(frame[2]), "")


def _adopt_sequence(files: dict[_Key, Path], others: dict[_Key, Path]) -> dict[_Key, Path]:
    """Give files of no named sequence the only one the other side names."""
    sequences = {key[0] for key in others if key[1] >= 0}
    if len(sequences) != 1 or any(key[0] for key in files):
        return files
    sequence = sequences.pop()
    return {(sequence if key[1] >= 0 else "", *key[1:]): file for key, file in files.items()}


def _name(key: _Key) -> str:
    """Return the id people read."""
    sequence, frame, stem = key
    return stem if frame < 0 else f"{sequence}_t{frame:03d}" if sequence else f"t{frame:03d}"


def _order(key: _Key) -> tuple[str, int, list[tuple[int, str]]]:
    """Sort by sequence and number; numbers inside a stem count as numbers."""
    sequence, frame, stem = key
    return (
        sequence,
        frame,
        [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", stem)],
    )


def _article(role: Role) -> str:
    """Return the role with its article."""
    return f"an {role}" if role == "image" else f"a {role}"


def _refuse(leftovers: set[_Key], rule: str, where: Path, remedy: str) -> None:
    """Raise when some files have no counterpart, naming up to five."""
    if leftovers:
        names = [_name(key) for key in sorted(leftovers, key=_order)]
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise PairingError(f"every {rule}, got {len(names)} without: {shown} ({where}). {remedy}")
