"""Draw the picture of dermoscopy.md: simulated images of both domains, with the outlines of their masks.

    python docs/draw_dermoscopy.py

No image of a data set is used. The same seed gives the same file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from biostyle.data.sources.dermoscopy import list_photographs
from biostyle.data.sources.simulated_skin import simulate_skin_pair
from biostyle.io.photographs import read_binary_mask, read_photograph
from biostyle.types import NDArray

OUT = Path(__file__).parent / "images" / "skin_domains.png"
N_IMAGES, SHAPE, GAP_PX = 5, (108, 144), 4
OUTLINE = (255, 214, 10)


def main(out: Path = OUT) -> None:
    """Draw the picture."""
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for root, reader in zip(
            simulate_skin_pair(Path(folder), seed=7, n_images=N_IMAGES, shape=SHAPE),
            ("isic", "waterloo"),
            strict=True,
        ):
            photographs = list_photographs(root, reader, needs_masks=True)
            rows.append([outlined(photograph.image, photograph.mask) for photograph in photographs])
    picture = np.vstack([np.hstack([_framed(image) for image in row]) for row in rows])
    Image.fromarray(picture[GAP_PX:, GAP_PX:]).save(out)


def outlined(image: Path, mask: Path | None) -> NDArray:
    """Read a photograph and draw the outline of its mask."""
    assert mask is not None
    pixels = read_photograph(image)
    lesion = read_binary_mask(mask, pixels.shape[:2]) > 0
    pixels[lesion ^ ndimage.binary_erosion(lesion)] = OUTLINE
    return pixels


def _framed(image: NDArray) -> NDArray:
    """Add white above and to the left."""
    return np.pad(image, ((GAP_PX, 0), (GAP_PX, 0), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
