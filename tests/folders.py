"""Plain folders as people have them, and a configuration of ``adapt`` that runs in seconds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import tomli_w

from biostyle.io.frames import read_frame, write_frame
from biostyle.io.labels import read_labels, write_labels
from tests.simulated import TINY_CONFIG


def write_folders(root: Path, tiny_data: Path) -> Path:
    """Write ``old`` and ``new`` with ``images/dish N.tif`` and ``masks/dish N.tif`` below root."""
    for domain, name in (("SIM-A", "old"), ("SIM-B", "new")):
        for image in sorted((tiny_data / domain / "01").glob("t*.tif")):
            mask = tiny_data / domain / "01_ST" / "SEG" / f"man_seg{image.stem[1:]}.tif"
            dish = f"dish {int(image.stem[1:])}.tif"
            write_frame(root / name / "images" / dish, read_frame(image))
            write_labels(root / name / "masks" / dish, read_labels(mask))
    return root


def write_adapt_config(path: Path) -> Path:
    """Write the canonical tiny settings as a configuration of ``adapt``."""
    table = tomllib.loads(TINY_CONFIG)
    for key in ("domain_a", "domains", "split"):
        del table[key]
    path.write_text(tomli_w.dumps({**table, "pipeline": "adapt"}))
    return path
