"""Sample data: two movies with exact labels."""

from __future__ import annotations

import numpy as np
import pytest

from biostyle.napari.sample import simulate_a, simulate_b

pytest.importorskip("dask.array")


@pytest.mark.parametrize(("simulate", "dtype"), [(simulate_a, np.uint8), (simulate_b, np.uint16)])
def test_movies_are_whole_and_their_files_are_gone(simulate: object, dtype: type) -> None:
    (image, about, kind), (labels, _, kind_labels) = simulate()  # type: ignore[operator]
    assert (kind, kind_labels) == ("image", "labels")
    assert (type(image), image.shape, image.dtype) == (np.ndarray, (8, 256, 256), dtype)
    assert about["name"].startswith("SIM-")
    assert labels.shape == image.shape
    assert labels.max() > 4
