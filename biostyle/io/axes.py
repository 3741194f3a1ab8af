"""Axes of an image: what each dimension of an array means, and the order of its planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from biostyle.errors import ImageError

AXES = "TCZYXS"
PlaneIndex = tuple[int, ...]


def parse_axes(axes: str, shape: Sequence[int], where: str = "") -> str:
    """Check an axes string against an array's shape.

    Parameters
    ----------
    axes : str
        One letter a dimension: T time, C channel, Z depth, Y rows, X columns, S samples of one pixel (red,
        green, blue). Lower case is accepted.
    shape : sequence of int
        Shape of the array.
    where : str
        File it belongs to, for the error.

    Returns
    -------
    str
        The axes in upper case.

    Raises
    ------
    ImageError
        If a letter is unknown or occurs twice, the number of letters is not that of the dimensions, or the
        axes do not end with YX, YXS or SYX.

    Examples
    --------
    >>> parse_axes("tyx", (5, 64, 64))
    'TYX'
    """
    at = f" ({where})" if where else ""
    letters = axes.upper()
    if set(letters) - set(AXES) or len(set(letters)) != len(letters):
        raise ImageError(
            f"axes must be different letters of {AXES}, got {axes!r}{at}. Correct --axes, for example TYX."
        )
    if not letters.endswith(("YX", "YXS", "SYX")):
        raise ImageError(
            f"axes must end with YX, YXS or SYX, as planes are stored, got {axes!r}{at}. "
            "Correct --axes, or save the file with rows and columns last."
        )
    if len(letters) != len(shape):
        raise ImageError(
            f"axes must name each of {len(shape)} dimensions of shape {tuple(shape)}, got {axes!r}{at}. "
            "Correct --axes; dimensions of length 1 may be left out of a file."
        )
    return letters


def resolve_axes(shape: Sequence[int], stated: str, given: str | None, where: str) -> str:
    """Decide on the axes of a file, and ask where they are unclear.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array in the file.
    stated : str
        What the file's metadata say; a letter outside of "TCZYXS" is a dimension without a meaning.
    given : str or None
        What the user says, which wins. A plane (H, W) may be all there is of it: files leave out dimensions of length 1.
    where : str
        The file, for the error.

    Returns
    -------
    str
        Axes in upper case.

    Raises
    ------
    ImageError
        If the user's axes do not fit, or neither the file nor the user names the axes of an array that has
        more than two dimensions.

    Examples
    --------
    >>> resolve_axes((64, 64), "YX", None, "a.tif"), resolve_axes((64, 64), "YX", "TYX", "b.tif")
    ('YX', 'YX')
    """
    if given is not None:
        single = (1,) * (len(given) - 2) if len(shape) == 2 else ()
        letters = parse_axes(given, (*single, *shape), where)
        return "YX" if single else letters
    if len(shape) == 2:
        return "YX"
    clear = len(set(stated)) == len(stated) == len(shape) and not set(stated) - set(AXES)
    if clear and stated.endswith(("YX", "YXS", "SYX")):
        return stated
    raise ImageError(
        f"axes must be known, got {stated!r} for an array of shape {tuple(shape)} ({where}). "
        f"Say what the dimensions are, for example --axes {_examples(len(shape))}."
    )


def plane_shape(axes: str, shape: Sequence[int]) -> tuple[int, int]:
    """Return the size of one plane.

    Parameters
    ----------
    axes : str
        Axes of the array.
    shape : sequence of int
        Its shape.

    Returns
    -------
    tuple of int
        Height and width, in pixels.

    Examples
    --------
    >>> plane_shape("TYXS", (5, 64, 48, 3))
    (64, 48)
    """
    return shape[axes.index("Y")], shape[axes.index("X")]


def plane_indices(axes: str, shape: Sequence[int], channel: int | None = None) -> Iterator[PlaneIndex]:
    """Iterate over the planes of an array in the order in which they are read and written.

    Parameters
    ----------
    axes : str
        Axes of the array.
    shape : sequence of int
        Its shape.
    channel : int, optional
        Keep the planes of one channel, counted from 0; all of them when left out.

    Yields
    ------
    tuple of int
        Position along every axis but Y and X, in the order of `axes`; the last one runs fastest.

    Raises
    ------
    ImageError
        If the channel does not exist, or the array has both channels and samples.

    Examples
    --------
    >>> list(plane_indices("TCYX", (2, 3, 64, 64), channel=1))
    [(0, 1), (1, 1)]
    >>> list(plane_indices("YX", (64, 64)))
    [()]
    """
    ranges = {axis: range(size) for axis, size in zip(axes, shape, strict=True) if axis not in "YX"}
    axis = None if channel is None else check_channel(axes, shape, channel)
    if axis is not None and channel is not None:
        ranges[axis] = range(channel, channel + 1)
    yield from product(*ranges.values())


def check_channel(axes: str, shape: Sequence[int], channel: int, where: str = "") -> str | None:
    """Find the axis a channel number refers to.

    Parameters
    ----------
    axes : str
        Axes of the array.
    shape : sequence of int
        Its shape.
    channel : int
        Channel, counted from 0.
    where : str
        The file, for the error.

    Returns
    -------
    str or None
        "C" or "S"; None where the array has neither, and channel 0 is all there is.

    Raises
    ------
    ImageError
        If the channel does not exist, or the array has both channels and samples.

    Examples
    --------
    >>> check_channel("YXS", (64, 64, 3), 1)
    'S'
    """
    at = f" ({where})" if where else ""
    sizes = {axis: size for axis, size in zip(axes, shape, strict=True) if axis in "CS"}
    several = {axis: size for axis, size in sizes.items() if size > 1} or sizes
    if len(several) > 1:
        raise ImageError(
            f"channels must lie along one axis, got {several}{at}. Split the colours into channels first."
        )
    axis, size = next(iter(several.items()), (None, 1))
    if not 0 <= channel < size:
        raise ImageError(
            f"channel must be 0 to {size - 1}, got {channel}{at}. Channels are counted from 0; "
            "choose another --channel."
        )
    return axis


def _examples(n_dimensions: int) -> str:
    """Suggest axes strings for a number of dimensions."""
    return {3: "TYX, ZYX, CYX or YXS", 4: "TCYX, TZYX or CZYX", 5: "TCZYX or TZCYX"}.get(
        n_dimensions, "TCZYXS, after removing what has no such meaning"
    )
