"""Axes are letters with a meaning, and planes come in one order."""

from __future__ import annotations

import pytest

from biostyle.errors import ImageError
from biostyle.io.axes import check_channel, parse_axes, plane_indices, plane_shape, resolve_axes


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ("QYX", (2, 3, 4), "letters of TCZYXS, got 'QYX' "),
        ("YYX", (2, 3, 4), "different letters .*got 'YYX'"),
        ("YXT", (2, 3, 4), "end with YX, .*got 'YXT'"),
        ("YX", (2, 3, 4), r"3 dimensions of shape \(2, 3, 4\), got 'YX'"),
    ],
)
def test_axes_that_make_no_sense_are_refused(axes: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ImageError, match=rf"{message}.*a\.tif"):
        parse_axes(axes, shape, "a.tif")


def test_what_the_user_says_wins_over_the_file() -> None:
    assert resolve_axes((5, 4, 4), "ZYX", "tyx", "a.tif") == "TYX"
    assert resolve_axes((5, 4, 4), "ZYX", None, "a.tif") == "ZYX"
    assert resolve_axes((4, 4), "QQ", None, "a.tif") == "YX"


def test_a_file_of_one_plane_may_be_among_stacks() -> None:
    assert resolve_axes((4, 4), "YX", "tyx", "a.tif") == "YX"
    assert resolve_axes((4, 4), "YX", "TCZYX", "a.tif") == "YX"
    with pytest.raises(ImageError, match=r"letters of TCZYXS, got 'QYX' \(a\.tif\)"):
        resolve_axes((4, 4), "YX", "QYX", "a.tif")
    with pytest.raises(ImageError, match=r"3 dimensions of shape \(5, 4, 4\), got 'TCYX'"):
        resolve_axes((5, 4, 4), "QYX", "TCYX", "a.tif")


@pytest.mark.parametrize("stated", ["IYX", "QYX", "", "AYX", "TTX", "YXZ"])
def test_unclear_axes_are_asked_for(stated: str) -> None:
    with pytest.raises(ImageError, match=rf"got '{stated}' .*\(5, 64, 48\) \(a\.tif\).*--axes TYX, ZYX"):
        resolve_axes((5, 64, 48), stated, None, "a.tif")


def test_the_last_axis_runs_fastest_and_a_channel_can_be_chosen() -> None:
    assert list(plane_indices("TCYX", (2, 2, 9, 9))) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert list(plane_indices("TYXS", (2, 9, 9, 3), 2)) == [(0, 2), (1, 2)]
    assert list(plane_indices("TYX", (2, 9, 9), 0)) == [(0,), (1,)]
    assert plane_shape("SYX", (3, 8, 9)) == (8, 9)


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(ImageError, match=r"channel must be 0 to 2, got 3 \(a\.tif\)"):
        check_channel("CYX", (3, 9, 9), 3, "a.tif")
    with pytest.raises(ImageError, match="channel must be 0 to 0, got 1"):
        list(plane_indices("TYX", (3, 9, 9), 1))
    with pytest.raises(ImageError, match=r"one axis, got \{'C': 2, 'S': 3\} \(a\.tif\)"):
        check_channel("CYXS", (2, 9, 9, 3), 0, "a.tif")
