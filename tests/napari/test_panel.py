"""The panel with Qt on no screen: a preview, a run, a cancelled run, and errors as notifications."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biostyle.application import load
from biostyle.napari import panel
from biostyle.napari.reading import read_folder
from tests.adapted_models import write_adapted

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]  # napari and Qt have warnings of their own
pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)
components = pytest.importorskip("napari.components")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapted(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="module")
def application() -> Any:
    from qtpy.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])


@pytest.fixture
def notes() -> Iterator[list[str]]:
    """What napari would show."""
    from napari.utils.notifications import notification_manager

    shown: list[str] = []

    def note(notification: Any) -> None:
        shown.append(notification.message)

    notification_manager.notification_ready.connect(note)
    yield shown
    notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def viewer(tiny_data: Path) -> Any:
    """A viewer without a window, with a movie in it."""
    viewer = components.ViewerModel()
    data, attributes, _ = read_folder(str(tiny_data / "SIM-B" / "01"))[0]
    viewer.add_image(data, **attributes)
    return viewer


def wait(application: Any, controls: Any, until: Callable[[], bool] | None = None) -> None:
    """Let Qt work until the panel is ready again."""
    limit = time.monotonic() + 60
    while not (until() if until else controls.run.enabled):
        assert time.monotonic() < limit, "the worker did not finish"
        application.processEvents()
        time.sleep(0.001)


def test_preview_and_run(application: Any, viewer: Any, directory: Path, notes: list[str]) -> None:
    controls = panel.make_panel(viewer)
    controls.model.value = directory
    viewer.dims.set_point(0, 5)
    for _ in range(2):  # the second replaces the first
        controls.preview.changed.emit(True)
        assert not controls.run.enabled
        wait(application, controls)
    movie, *_ = (np.asarray(layer.data) for layer in viewer.layers)
    model = load(directory)
    assert [layer.name for layer in viewer.layers] == [
        "SIM-B 01",
        "SIM-B 01 preview stylized",
        "SIM-B 01 preview labels",
    ]
    stylized, labels = viewer.layers[1], viewer.layers[2]
    np.testing.assert_array_equal(stylized.data[0], model.stylize(movie[5]))
    assert labels.translate.tolist() == [5, 0, 0]
    controls.run.changed.emit(True)
    wait(application, controls)
    assert controls.progress.value == 8
    result = viewer.layers["SIM-B 01 labels"]
    np.testing.assert_array_equal(result.data, model.segment(movie, "TYX", labels="components"))
    np.testing.assert_array_equal(result.data[5], labels.data[0])
    assert len(viewer.layers) == 4
    assert notes == []


def test_a_cancelled_run_says_how_far_it_came(application: Any, viewer: Any, directory: Path) -> None:
    controls = panel.make_panel(viewer)
    controls.model.value = directory
    controls.stylized.value = True
    controls.run.changed.emit(True)
    wait(application, controls, lambda: len(viewer.layers) == 3)
    controls.cancel.changed.emit(True)
    wait(application, controls)
    for kind in ("stylized", "labels"):
        name = next(layer.name for layer in viewer.layers if layer.name.startswith(f"SIM-B 01 {kind} ("))
        assert 1 <= int(name.removeprefix(f"SIM-B 01 {kind} (").removesuffix(" of 8 planes)")) < 8


def test_errors_are_shown_in_their_own_words(
    application: Any, viewer: Any, directory: Path, tmp_path: Path, notes: list[str]
) -> None:
    controls = panel.make_panel(viewer)
    controls.model.value = tmp_path
    controls.run.changed.emit(True)
    wait(application, controls)
    assert len(notes) == 1
    assert f"must hold adapted.json, got none ({tmp_path})" in notes[0]
    viewer.layers.clear()
    controls.reset_choices()
    controls.run.changed.emit(True)
    assert notes[1:] == ["layer must be an image, got none. Open an image, and choose it."]


def test_a_bug_keeps_its_traceback_and_frees_the_panel(
    application: Any, viewer: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Iterator[None]:
        raise RuntimeError("a bug")
        yield

    caught: list[Any] = []
    monkeypatch.setattr("sys.excepthook", lambda kind, error, _: caught.append(error))
    monkeypatch.setattr(panel, "process_planes", broken)
    controls = panel.make_panel(viewer)
    controls.run.changed.emit(True)
    wait(application, controls)
    assert isinstance(caught[0].__cause__, RuntimeError)


def test_napari_docks_it(application: Any, directory: Path) -> None:
    import napari
    import npe2

    manager = npe2.PluginManager.instance()
    manifest = npe2.PluginManifest.from_file(Path(panel.__file__).with_name("napari.yaml"))
    if "biostyle" not in manager:
        manager.register(manifest)
    viewer = napari.Viewer(show=False)
    try:
        dock, controls = viewer.window.add_plugin_dock_widget("biostyle", "Stylize and segment")
        assert controls.run.enabled
        assert dock.widget() is not None
    finally:
        viewer.close()
