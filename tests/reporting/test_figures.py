from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from biostyle.reporting import figures
from biostyle.reporting.document import Report
from biostyle.reporting.tables import summarise_report


def test_overlay_colours_each_kind_of_agreement() -> None:
    image = np.full((1, 5), 200, np.uint8)
    coloured = figures.overlay(image, np.array([[1, 1, 0, 0, 1]]), np.array([[1, 0, 1, 0, 255]]))
    assert coloured.dtype == np.uint8
    assert coloured.shape == (1, 5, 3)
    true_positive, false_positive, false_negative, background, unknown = coloured[0].astype(int)
    assert true_positive[0] > 150
    assert true_positive[1] > 150
    assert true_positive[2] < 50
    assert false_positive[0] > 2 * max(false_positive[1:])
    assert false_negative[1] > 1.4 * max(false_negative[0], false_negative[2])
    assert background.tolist() == unknown.tolist() == [127, 127, 127]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
def test_stretch_uses_the_whole_range_whatever_the_dtype(dtype: type) -> None:
    image = np.arange(256).reshape(16, 16).astype(dtype)
    stretched = figures.stretch(image)
    assert stretched.dtype == np.uint8
    assert (stretched.min(), stretched.max()) == (0, 255)


def test_stretch_shows_a_faint_signal_on_a_pedestal() -> None:
    image = np.full((100, 100), 33_000, np.uint16)
    image[0, 0] = 33_001
    assert figures.stretch(image)[0, 0] == 255


def test_constant_frame_is_gray() -> None:
    assert figures.stretch(np.zeros((2, 2))).tolist() == [[127, 127], [127, 127]]


def test_tiles_keep_small_pictures_and_shrink_large_ones() -> None:
    for shape, expected in (((20, 30), (30, 20)), ((1000, 500), (180, 360))):
        png = figures.tile_png(np.zeros(shape, np.uint8))
        assert Image.open(io.BytesIO(png)).size == expected


def test_plots_are_the_same_bytes_every_time(report: Report) -> None:
    summary = summarise_report(report)
    titles = {"nikon": "NIKON", "zeiss": "ZEISS & <Co> $x$"}
    first, second = (figures.overview_plot(summary["domains"], titles) for _ in range(2))
    assert first == second
    assert "<dc:date>" not in first
    assert "ZEISS &amp; &lt;Co&gt; $x$" in first


def test_paired_plot_draws_without_a_defined_image() -> None:
    nan = np.full(3, np.nan)
    svg = figures.paired_plot(nan, nan, {"value": None, "ci95": [None, None], "n": 0})
    assert "after" in svg


def test_loss_plot_names_each_loss_and_shortens_long_histories() -> None:
    losses = pd.DataFrame({"step": range(3000), "gen": np.ones(3000), "disc_a_$b$": np.zeros(3000)})
    svg = figures.loss_plot(losses)
    assert "disc_a_$b$" in svg
    assert len(svg) < 100_000


def test_photographs_keep_their_colour_where_nothing_was_found() -> None:
    photograph = np.zeros((2, 4, 3), np.uint8)
    photograph[..., 0], photograph[1] = 200, 255
    mask = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], np.uint8)
    truth = np.array([[1, 0, 1, 0], [0, 0, 0, 0]], np.uint8)
    assert figures.stretch(photograph).shape == photograph.shape
    drawn = figures.overlay(photograph, mask, truth)
    assert drawn[0, 3].tolist() == figures.stretch(photograph)[0, 3].tolist() == [200, 0, 0]
    yellow, red, green = drawn[0, :3].astype(int)
    assert yellow[0] > 150 <= yellow[1]
    assert red[0] > 150 > red[1]
    assert green[1] > 100 > green[0]
