"""Arrays of every layout and kind are their planes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from biostyle.errors import ImageError
from biostyle.io.arrays import array_plane, check_array, map_planes
from biostyle.types import NDArray

STACK = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)


def place(plane: NDArray, index: tuple[int, ...]) -> NDArray:
    """The plane plus a number that tells its place."""
    return (plane + 1000 * sum(10**i * n for i, n in enumerate(index))).astype(np.float32)


@pytest.mark.parametrize("index", [(), (1,), (1, 2)])
def test_planes_keep_their_places(index: tuple[int, ...]) -> None:
    array = STACK[index]
    found = map_planes(array, place, np.dtype(np.float32))
    assert (found.shape, found.dtype) == (array.shape, np.float32)
    for outer in np.ndindex(array.shape[:-2]):
        np.testing.assert_array_equal(found[outer], place(array[outer], outer))


@pytest.mark.parametrize("index", [(), (1,), (1, 2)])
def test_lazy_arrays_are_computed_block_by_plane(index: tuple[int, ...]) -> None:
    da = pytest.importorskip("dask.array")
    array = STACK[index]
    seen = []

    def work(plane: NDArray, outer: tuple[int, ...]) -> NDArray:
        seen.append(outer)
        return place(plane, outer)

    lazy = map_planes(da.from_array(array, chunks=(2,) * array.ndim), work, np.dtype(np.float32))
    assert not seen
    assert lazy.chunksize == (1,) * (array.ndim - 2) + (4, 5)
    expected = map_planes(array, place, np.dtype(np.float32))
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), expected)
    assert sorted(seen) == list(np.ndindex(array.shape[:-2]))


def test_dask_is_not_imported_for_arrays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    map_planes(STACK, place, np.dtype(np.float32))


def test_floats_are_read_as_from_files() -> None:
    assert array_plane(STACK / 3, (0, 1)).dtype == np.float32
    assert array_plane(STACK, (0, 1)).dtype == np.uint16
    assert np.isinf(array_plane(np.full((1, 1), 1e300), ())).all()


@pytest.mark.parametrize(
    ("array", "axes", "message"),
    [
        (STACK[0], None, r"axes must be known.*\(3, 4, 5\) \(array\).*--axes TYX"),
        (STACK, "TYX", "name each of 4 dimensions"),
        (STACK[..., :3], "TCYX", None),
        (STACK[0, ..., :3], "YXS", r"got axes YXS of shape \(3, 4, 3\)"),
        (STACK[0, 0, 0], None, r"got shape \(5,\)"),
        (STACK[:0], "TCYX", r"got shape \(0, 3, 4, 5\)"),
        (STACK[0, 0].astype(complex), None, "of complex128"),
        (np.array([["a"]]), None, "of <U1"),
    ],
)
def test_arrays_that_cannot_be_taken(array: np.ndarray, axes: str | None, message: str | None) -> None:
    if message is None:
        assert check_array(array, axes) == axes
        return
    with pytest.raises(ImageError, match=message):
        check_array(array, axes)
