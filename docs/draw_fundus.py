"""Draw the picture of fundus.md: simulated retinas, and what each defect makes of them.

    python docs/draw_fundus.py

No image of a data set is used. The same seed gives the same file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from biostyle.data.degradation import DEFECTS, Defect, degrade, draw_degradation
from biostyle.data.field_of_view import find_field_of_view
from biostyle.data.retina_square import crop_photograph, square_inside
from biostyle.data.sources.simulated_fundus import simulate_retina
from biostyle.types import NDArray

OUT = Path(__file__).parent / "images" / "fundus_defects.png"
SEED, SIZE_PX, GAP_PX = 3, 144, 4
COLUMNS: tuple[tuple[Defect, ...], ...] = (*((defect,) for defect in DEFECTS), DEFECTS)


def main(out: Path = OUT) -> None:
    """Draw the picture: a good photograph, then each defect alone and all of them; above usable, below reject."""
    photograph = simulate_retina(SEED, grade=3, shape=(240, 300)).photograph
    fov = find_field_of_view(photograph)
    square, inside = crop_photograph(photograph, fov, SIZE_PX), square_inside(fov, SIZE_PX)
    rows = []
    for quality in ("usable", "reject"):
        spoiled = [
            degrade(square / np.float32(255), inside, draw_degradation(quality, SEED, defects))[0]
            for defects in COLUMNS
        ]
        rows.append([square, *(np.rint(image * 255).astype(np.uint8) for image in spoiled)])
    picture = np.vstack([np.hstack([_framed(image) for image in row]) for row in rows])
    Image.fromarray(picture[GAP_PX:, GAP_PX:]).save(out)


def _framed(image: NDArray) -> NDArray:
    """Add white above and to the left."""
    return np.pad(image, ((GAP_PX, 0), (GAP_PX, 0), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
