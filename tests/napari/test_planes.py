"""What the panel does, without a panel: the numbers are those of the model, and results lie on their layer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from biostyle.application import load
from biostyle.errors import CheckpointError, ImageError
from biostyle.napari.planes import layer_array, placement, process_planes, shown_plane
from biostyle.napari.reading import METADATA
from tests.adapted_models import write_adapted

MOVIE = np.random.default_rng(0).integers(0, 4096, (3, 40, 48), dtype=np.uint16)


def make_layer(data: Any = MOVIE, **attributes: Any) -> Any:
    """A layer of napari."""
    return pytest.importorskip("napari.layers").Image(data, name="movie", **attributes)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with everything in it; only to be read."""
    return write_adapted(tmp_path_factory.mktemp("models") / "model")


def test_planes_are_what_the_model_gives(directory: Path) -> None:
    model = load(directory)
    results = list(process_planes(directory, MOVIE, [(2,), (0,)], "components", stylized=True))
    assert [result.index for result in results] == [(2,), (0,)]
    for result in results:
        plane = MOVIE[result.index]
        np.testing.assert_array_equal(result.labels, model.segment(plane, labels="components"))
        np.testing.assert_array_equal(result.stylized, model.stylize(plane))
    (plain,) = process_planes(directory, MOVIE[0], [()], "watershed", stylized=False)
    assert plain.stylized is None
    np.testing.assert_array_equal(plain.labels, model.segment(MOVIE[0], labels="watershed"))


def test_planes_come_one_at_a_time(directory: Path) -> None:
    movie = MOVIE.astype(np.float32)
    movie[1, 5, 6] = np.nan
    results = process_planes(directory, movie, [(0,), (1,)], "components", stylized=False)
    next(results)
    with pytest.raises(ImageError, match="got 1 NaN"):
        next(results)


def test_a_segmenter_alone_gives_labels(tmp_path: Path) -> None:
    model = write_adapted(tmp_path / "model", ())
    (result,) = process_planes(model, MOVIE, [(0,)], "components", stylized=True)
    assert result.stylized is None


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"got none \({tmp_path}\)"):
        list(process_planes(tmp_path, MOVIE, [(0,)], "components", stylized=True))


def test_layers_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(ImageError, match="got none"):
        layer_array(None)
    colour = SimpleNamespace(rgb=True, data=np.zeros((4, 5, 3)), name="photo")
    with pytest.raises(ImageError, match=r"got RGB of shape \(4, 5, 3\) \(photo\)"):
        layer_array(colour)
    pyramid = SimpleNamespace(rgb=False, multiscale=True, data=[MOVIE, MOVIE[:, ::2, ::2]])
    assert layer_array(pyramid) is MOVIE


def test_the_shown_plane_follows_the_sliders() -> None:
    layer = make_layer(scale=(10, 0.5, 0.5), translate=(100, 0, 0))
    assert shown_plane(layer, (121, 3, 3)) == (2,)
    assert shown_plane(layer, (0, 3, 3)) == (0,)
    assert shown_plane(layer, (7, 1000, 3, 3)) == (2,)  # an axis more than the layer has
    assert shown_plane(make_layer(MOVIE[0]), (7, 3, 3)) == ()


def test_results_are_placed_on_their_layer() -> None:
    origin = {METADATA: {"sequence": "01", "numbers": [0, 4, 9]}, "mine": 1}
    layer = make_layer(scale=(10, 0.5, 0.5), translate=(100, 7, 0), metadata=origin)
    whole, one = (make_layer(data, **placement(layer, at)) for data, at in ((MOVIE, None), (MOVIE[2:], (2,))))
    np.testing.assert_array_equal(whole.extent.world, layer.extent.world)
    np.testing.assert_array_equal(one.data_to_world((0, 3, 4)), layer.data_to_world((2, 3, 4)))
    assert whole.metadata == origin == layer.metadata
    assert one.metadata == {METADATA: {"sequence": "01", "numbers": [9]}, "mine": 1}
