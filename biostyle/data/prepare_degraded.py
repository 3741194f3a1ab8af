"""Degrade prepared fundus photographs: a domain B beside the domain A it was made from.

Each good photograph becomes usable and rejected ones, of the same patient and in the same part, in the layout of
:mod:`biostyle.data.fundus_facts`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from biostyle.data.degradation import DEFECTS, QUALITIES, Defect, Quality, degrade, draw_degradation
from biostyle.data.fundus_facts import FundusFacts, read_fundus_facts, write_fundus_tables, write_square
from biostyle.data.prepared import PreparedDomain, PreparedFrame, load_prepared
from biostyle.errors import ConfigError
from biostyle.types import NDArray

POOR: tuple[Quality, ...] = ("usable", "reject")
MOST_DRAWS = 8  # a digest has four bytes for each


class RatedSquare(NamedTuple):
    """A prepared photograph, uint8 of shape (S, S, 3), its quality, and the frame that it was made from."""

    square: NDArray
    quality: Quality
    frame: PreparedFrame


def degrade_square(
    square: NDArray,
    facts: FundusFacts,
    quality: Quality,
    defects: Sequence[Defect],
    seed: int,
    draw: int = 0,
) -> NDArray:
    """Degrade a prepared photograph to a wanted quality.

    Parameters
    ----------
    square : ndarray of uint8, shape (S, S, 3)
        A good photograph.
    facts : FundusFacts
        Its field of view, and the id that its own random numbers come from.
    quality : {"good", "usable", "reject"}
        What the result is to be called.
    defects : sequence of {"illumination", "blur", "spots"}
        One for that defect alone, several for a mixture.
    seed : int
        Same seed, same result.
    draw : int
        Another one gives another result, 0 to 7.

    Returns
    -------
    ndarray of uint8, shape (S, S, 3)
        The degraded photograph.

    Raises
    ------
    ConfigError
        If there is no defect, or one that is unknown, or no such draw.
    """
    if not 0 <= draw < MOST_DRAWS:
        raise ConfigError(f"draw must be from 0 to {MOST_DRAWS - 1}, got {draw}. Choose another one.")
    digest = hashlib.sha256(f"{seed}:{facts.original}:{','.join(defects)}".encode()).digest()
    own_seed = int.from_bytes(digest[4 * draw : 4 * draw + 4])
    degradation = draw_degradation(quality, own_seed, defects)
    spoiled, _ = degrade(np.asarray(square, np.float32) / 255, facts.inside(len(square)), degradation)
    return np.rint(spoiled * 255).astype(np.uint8)


def rated_squares(
    domain: PreparedDomain, rows: Sequence[PreparedFrame], seed: int, qualities: Sequence[Quality] = QUALITIES
) -> Iterator[RatedSquare]:
    """Degrade good photographs to every quality, for a classifier to learn from.

    Parameters
    ----------
    domain : PreparedDomain
        Good photographs.
    rows : sequence of PreparedFrame
        Which of them.
    seed : int
        Source of the random choices.
    qualities : sequence of {"good", "usable", "reject"}
        Which qualities.

    Yields
    ------
    RatedSquare
        Of each photograph, and for each quality: one with each defect alone, and one with all of them mixed. For good
        also the photograph as it is.
    """
    facts = read_fundus_facts(domain.directory)
    for row in rows:
        square = domain.read_image(row)
        if "good" in qualities:
            yield RatedSquare(square, "good", row)
        for quality in qualities:
            for defects in (*((defect,) for defect in DEFECTS), DEFECTS):
                yield RatedSquare(
                    degrade_square(square, facts[row.frame_id], quality, defects, seed), quality, row
                )


def prepare_degraded(
    clean: Path, defects: Sequence[Defect], seed: int, out: Path, *, n_draws: int = 1
) -> None:
    """Write usable and rejected versions of every good photograph.

    Parameters
    ----------
    clean : Path
        Prepared good photographs; only read.
    defects : sequence of {"illumination", "blur", "spots"}
        One for that defect alone, several for mixtures.
    seed : int
        Source of the random choices.
    out : Path
        Directory to write to; created if it is missing.
    n_draws : int
        Versions of each quality, 1 to 8.

    Raises
    ------
    ImageError
        If ``clean`` is no directory of prepared fundus photographs.
    ConfigError
        If there is no defect, or one that is unknown.
    OutputError
        If the directory cannot be written.
    """
    domain, facts = load_prepared(clean), read_fundus_facts(clean)
    rows: list[dict[str, str | int]] = []
    known: dict[str, FundusFacts] = {}
    for frame in domain.rows:
        square = domain.read_image(frame)
        mask = domain.read_truth(frame)[0] if frame.gold else None
        for quality, draw in itertools.product(POOR, range(n_draws)):
            name = f"{frame.frame_id}_{quality}_{draw + 1}"
            spoiled = degrade_square(square, facts[frame.frame_id], quality, defects, seed, draw)
            row = write_square(Path(out), name, spoiled, mask)
            rows.append(row | {"sequence": frame.sequence, "number": len(rows), "split": frame.split})
            known[name] = replace(facts[frame.frame_id], quality=quality)
    write_fundus_tables(Path(out), rows, known, " + ".join(defects).capitalize())
