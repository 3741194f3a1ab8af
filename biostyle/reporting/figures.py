"""Pictures of a report: overlays as PNG at the frame's own pixels, plots as SVG.

Everything is drawn through matplotlib's ``Figure`` objects, without pyplot's global state, and the same input gives
the same bytes. Plot colours are from a palette that colour-blind readers can tell apart (Okabe and Ito); the
overlay's yellow, red and green are the field's custom and differ in lightness as well.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from biostyle.reporting.document import CEILING
from biostyle.reporting.findings import effect
from biostyle.types import NOT_ANNOTATED, NDArray

TRUE_POSITIVE = (255, 214, 10)
FALSE_POSITIVE = (230, 45, 60)
FALSE_NEGATIVE = (46, 196, 120)

BETTER = "#0072b2"
WORSE = "#d55e00"
NEUTRAL = "#6b7078"
INK = "#22252a"
RULE = "#d9dce1"

_MAX_TILE_PX = 360
_MAX_CURVE_POINTS = 300
_STYLE: Any = {
    "svg.hashsalt": "biostyle",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": "#9aa0a8",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "xtick.color": "#565b63",
    "ytick.color": "#565b63",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
}


def stretch(image: NDArray) -> NDArray:
    """Stretch a frame's contrast for display.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Frame of any numeric dtype and range; the channels of a photograph are stretched alike.

    Returns
    -------
    ndarray of the same shape
        uint8; the .5th percentile is 0 and the 99.5th is 255. A frame without contrast is mid-gray.

    Examples
    --------
    >>> import numpy as np
    >>> stretch(np.array([[33_000, 33_500, 34_000]], np.uint16)).tolist()
    [[0, 127, 255]]
    """
    values = np.asarray(image, np.float64)
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        low, high = values.min(), values.max()
    if high <= low:
        return np.full(values.shape, 127, np.uint8)
    return (np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def overlay(image: NDArray, pred: NDArray, truth: NDArray) -> NDArray:
    """Colour a frame by where a prediction and its reference agree.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Frame of any numeric dtype; its contrast is stretched.
    pred : ndarray of shape (H, W)
        Predicted mask; everything but 0 is foreground.
    truth : ndarray of shape (H, W)
        Reference mask; everything but 0 is foreground, and pixels of 255 are left gray.

    Returns
    -------
    ndarray of shape (H, W, 3)
        uint8: true positives yellow, false positives red, false negatives green.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.full((1, 4), 127)
    >>> overlay(frame, np.array([[1, 1, 0, 0]]), np.array([[1, 0, 1, 0]]))[0, 3].tolist()
    [127, 127, 127]
    """
    shown = stretch(image)
    colours = (shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=2)).astype(np.float64)
    annotated = truth != NOT_ANNOTATED
    predicted, actual = pred != 0, truth != 0
    for where, colour in (
        (predicted & actual, TRUE_POSITIVE),
        (predicted & ~actual, FALSE_POSITIVE),
        (~predicted & actual, FALSE_NEGATIVE),
    ):
        chosen = where & annotated
        colours[chosen] = np.array(colour) * (0.7 + 0.3 * colours[chosen] / 255)
    return np.rint(colours).astype(np.uint8)


def tile_png(pixels: NDArray) -> bytes:
    """Encode one picture as PNG, no larger than a page can show.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, 3)
        uint8 gray or RGB.

    Returns
    -------
    bytes
        PNG whose longer side has at most 360 pixels.

    Examples
    --------
    >>> import numpy as np
    >>> tile_png(np.zeros((2, 2), np.uint8))[1:4]
    b'PNG'
    """
    picture = Image.fromarray(pixels)
    scale = _MAX_TILE_PX / max(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _svg(figure: Figure) -> str:
    """Render a figure without a date or a version in it."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return stream.getvalue()


def _figure(width: float, height: float) -> Figure:
    """Make a figure, in inches, that keeps no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _number(value: float | None) -> float:
    """Turn the null of a summary back into NaN."""
    return np.nan if value is None else float(value)


def _colour(change: float) -> str:
    """Say in a colour whether a change is for the better."""
    if not np.isfinite(change) or change == 0:
        return NEUTRAL
    return BETTER if change > 0 else WORSE


def overview_plot(domains: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """Draw each domain's mean F-score before and after, between the trivial baselines.

    Parameters
    ----------
    domains : mapping
        ``summary["domains"]`` as made by :func:`biostyle.reporting.tables.summarise_report`.
    titles : mapping of str to str
        Domain titles by name.

    Returns
    -------
    str
        SVG.
    """
    with matplotlib.rc_context(_STYLE):
        figure = _figure(7.2, 0.75 + 0.42 * len(domains))
        axes = figure.add_subplot()
        for row, domain in enumerate(domains.values()):
            _overview_row(axes, row, domain)
        axes.set_yticks(range(len(domains)), [titles[name] for name in domains], parse_math=False)
        axes.set_ylim(len(domains) - 0.4, -0.6)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("F-score, mean over images, with 95 % interval")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        styles: list[dict[str, Any]] = [
            {"marker": "o", "color": NEUTRAL, "markerfacecolor": "white", "label": "before"},
            {"marker": "o", "color": NEUTRAL, "label": "after (blue: better, orange: worse, gray: unclear)"},
            {"marker": "|", "color": INK, "markersize": 9, "label": "all foreground"},
            {"marker": "x", "color": INK, "markersize": 5, "label": "Otsu"},
        ]
        if any(CEILING in domain for domain in domains.values()):
            styles.append({"marker": "^", "color": INK, "markerfacecolor": "none", "label": "ceiling"})
        for style in styles:
            axes.plot([], [], linestyle="none", **style)
        figure.legend(loc="outside upper left", ncols=4, columnspacing=1.6, handletextpad=0.4)
        return _svg(figure)


def _overview_row(axes: Axes, row: int, domain: Mapping[str, Any]) -> None:
    """Draw one domain of the overview."""
    before = _number(domain["before"]["f_score"])
    marked = {**domain["baselines"], CEILING: domain.get(CEILING)}
    for name, marker, size in (("all_foreground", "|", 9), ("otsu", "x", 5), (CEILING, "^", 6)):
        if marked.get(name):
            score = _number(marked[name]["f_score"])
            axes.plot(score, row, marker=marker, markersize=size, color=INK, markerfacecolor="none", zorder=5)
    colour = {"better": BETTER, "worse": WORSE}.get(effect(domain), NEUTRAL)
    if "after" in domain:
        after = _number(domain["after"]["f_score"])
        axes.plot([before, after], [row, row], color=colour, linewidth=1.6, zorder=2)
        _interval(axes, domain["after"]["ci95"], row + 0.2, colour)
        axes.plot(after, row, marker="o", markersize=7, color=colour, zorder=4)
    _interval(axes, domain["before"]["ci95"], row - 0.2, NEUTRAL)
    axes.plot(before, row, marker="o", markersize=7, color=colour, markerfacecolor="white", zorder=3)


def _interval(axes: Axes, ci95: Sequence[float | None], row: float, colour: str) -> None:
    """Draw an interval as a thin horizontal bar."""
    axes.plot([_number(end) for end in ci95], [row, row], color=colour, linewidth=1, solid_capstyle="butt")


def paired_plot(before: NDArray, after: NDArray, difference: Mapping[str, Any]) -> str:
    """Draw every image's F-score before and after, and the differences with their mean's interval.

    Parameters
    ----------
    before : ndarray of shape (N,)
        F-score of each image; NaN where undefined.
    after : ndarray of shape (N,)
        F-scores of the same images in the same order.
    difference : mapping
        ``value`` and ``ci95`` of the mean paired difference; None where undefined.

    Returns
    -------
    str
        SVG.
    """
    change = after - before
    defined = np.isfinite(change)
    with matplotlib.rc_context(_STYLE):
        figure = _figure(7.2, 2.7)
        slopes, dots = figure.subplots(1, 2, width_ratios=(1, 1.6))
        faint = float(np.clip(12 / max(defined.sum(), 1), 0.25, 0.8))
        for first, second in zip(before[defined], after[defined], strict=True):
            slopes.plot(
                [0, 1], [first, second], color=_colour(second - first), linewidth=1, alpha=faint, marker="o",
                markersize=3.5, markeredgewidth=0,
            )  # fmt: skip
        if defined.any():
            means = [before[defined].mean(), after[defined].mean()]
            slopes.plot([0, 1], means, color=INK, linewidth=2, marker="D", markersize=5)
        slopes.set_xticks([0, 1], ["before", "after"])
        slopes.set_xlim(-0.25, 1.25)
        slopes.set_ylim(-0.03, 1.03)
        slopes.set_title("F-score of each image; mean in black")
        _difference_dots(dots, change, difference)
        return _svg(figure)


def _difference_dots(axes: Axes, change: NDArray, difference: Mapping[str, Any]) -> None:
    """Draw one dot an image in frame order, and the mean with its interval on the right."""
    shown = np.nan_to_num(change)
    position = np.arange(1, len(change) + 1)
    for chosen, colour in ((change > 0, BETTER), (change < 0, WORSE), (change == 0, NEUTRAL)):
        axes.vlines(position[chosen], 0, shown[chosen], color=colour, linewidth=0.8, alpha=0.45)
        axes.plot(position[chosen], shown[chosen], linestyle="none", marker="o", markersize=3.5, color=colour)
    mean, low, high = (_number(value) for value in (difference["value"], *difference["ci95"]))
    right = len(change) * 1.08 + 1
    axes.plot([right, right], [low, high], color=INK, linewidth=2, solid_capstyle="butt")
    axes.plot(right, mean, marker="D", markersize=5, color=INK)
    axes.axhline(0, color="#9aa0a8", linewidth=0.8, zorder=0)
    axes.set_xlim(0, right * 1.05)
    ends = np.array([*shown, mean, low, high, -0.05, 0.05])
    axes.set_ylim(np.nanmin(ends) - 0.04, np.nanmax(ends) + 0.04)
    step = max(1, int(np.ceil(len(change) / 8)))
    ticks = [int(position) for position in range(1, len(change) + 1, step)]
    if len(change) + 1 - ticks[-1] <= step / 2 and len(ticks) > 1:
        ticks.pop()
    axes.set_xticks([*ticks, right], [*map(str, ticks), "mean"])
    axes.set_title("After minus before: each image in order; mean with 95 % interval")


def loss_plot(losses: pd.DataFrame) -> str:
    """Draw each loss of a training history in a panel of its own.

    Parameters
    ----------
    losses : DataFrame
        Column ``step`` and one column a loss. Long histories are shown as means of consecutive steps.

    Returns
    -------
    str
        SVG.
    """
    names = [column for column in losses.columns if column != "step"]
    width = int(np.ceil(len(losses) / _MAX_CURVE_POINTS))
    binned = losses.astype(float).groupby(np.arange(len(losses)) // width).mean() if width > 1 else losses
    n_rows = -(-len(names) // 4)
    n_columns = -(-len(names) // n_rows)
    with matplotlib.rc_context(_STYLE):
        figure = _figure(7.2, 1.45 * n_rows + 0.2)
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes, name in zip(grid.flat, names, strict=False):
            axes.plot(binned["step"], binned[name], color=BETTER, linewidth=1)
            axes.set_title(name, parse_math=False)
            axes.locator_params(nbins=4)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        figure.supxlabel("training step", fontsize=8.5)
        return _svg(figure)
