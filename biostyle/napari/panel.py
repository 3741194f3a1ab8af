"""The panel: choose a model and a layer, look at one plane, run on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from biostyle.errors import BiostyleError
from biostyle.io.axes import PlaneIndex
from biostyle.napari.planes import PlaneResult, layer_array, placement, process_planes, shown_plane


def make_panel(napari_viewer: Any = None) -> Any:
    """Make the panel.

    Parameters
    ----------
    napari_viewer : napari.components.ViewerModel, optional
        Where layers come from and go to; the current viewer when left out.

    Returns
    -------
    magicgui.widgets.Container
        To be docked.
    """
    import napari

    return _Panel(napari_viewer or napari.current_viewer()).container


class _Panel:
    """The controls, and the one worker that may run at a time."""

    def __init__(self, viewer: Any) -> None:
        from magicgui import widgets
        from napari.layers import Image

        self._viewer = viewer
        self._worker: Any = None
        self._model = widgets.FileEdit(
            name="model", label="Model", mode="d", tooltip="What `biostyle adapt` leaves in OUT/model"
        )
        self._image = widgets.ComboBox(
            name="image",
            label="Image",
            choices=lambda _: [layer for layer in viewer.layers if isinstance(layer, Image)],
        )
        self._split = widgets.ComboBox(name="objects", label="Objects", choices=["components", "watershed"])
        self._stylized = widgets.CheckBox(
            name="stylized", text="Keep stylized planes of a run", tooltip="Four bytes a pixel"
        )
        self._preview = widgets.PushButton(name="preview", text="Preview this plane")
        self._run = widgets.PushButton(name="run", text="Run on the whole layer")
        self._cancel = widgets.PushButton(name="cancel", text="Cancel", enabled=False)
        self._progress = widgets.ProgressBar(name="progress", min=0, max=1, value=0)
        # Lambdas: a reference to a bound method would be weak, and nobody else holds the panel.
        self._preview.changed.connect(lambda: self._start(whole=False))
        self._run.changed.connect(lambda: self._start(whole=True))
        self._cancel.changed.connect(lambda: self._worker and self._worker.quit())
        self.container = widgets.Container(
            widgets=[
                self._model,
                self._image,
                self._split,
                self._stylized,
                self._preview,
                self._run,
                self._cancel,
                self._progress,
            ]
        )

    def _start(self, *, whole: bool) -> None:
        """Begin with the plane that is shown, or with all of them."""
        from napari.qt.threading import create_worker
        from napari.utils.notifications import show_error

        layer = self._image.value
        try:
            data = layer_array(layer)
        except BiostyleError as error:
            show_error(str(error))
            return
        shown = shown_plane(layer, self._viewer.dims.point)
        indices = list(np.ndindex(data.shape[:-2])) if whole else [shown]
        results = _Results(self._viewer, layer, data.shape, None if whole else shown)

        def take(result: PlaneResult) -> None:
            results.take(result)
            self._progress.value = results.n_done

        def fail(error: Exception) -> None:
            if not isinstance(error, BiostyleError):
                raise error
            show_error(str(error))

        def finish() -> None:
            results.finish(len(indices))
            self._show_running(None)

        self._progress.max, self._progress.value = len(indices), 0
        self._show_running(
            create_worker(
                _process,
                self._model.value,
                data,
                indices,
                self._split.value,
                not whole or self._stylized.value,
                _connect={"yielded": take, "errored": fail, "finished": finish},
                _start_thread=False,
            )
        )
        self._worker.start()

    def _show_running(self, worker: Any) -> None:
        """Offer what can be done while a worker runs, or while none does."""
        self._worker = worker
        self._preview.enabled = self._run.enabled = worker is None
        self._cancel.enabled = worker is not None


def _process(directory: Any, data: Any, indices: Sequence[PlaneIndex], split: Any, stylized: bool) -> Any:
    """Process planes in another thread; napari wants a generator function."""
    try:
        yield from process_planes(directory, data, indices, split, stylized=stylized)
    except RuntimeError as error:  # which napari drops, and the worker would never finish
        raise ExceptionGroup("processing stopped", [error]) from error


class _Results:
    """The layers that fill up while planes arrive."""

    def __init__(self, viewer: Any, layer: Any, shape: tuple[int, ...], index: PlaneIndex | None) -> None:
        self.n_done = 0
        self._viewer = viewer
        self._preview = index is not None
        self._title = f"{layer.name} preview" if self._preview else layer.name
        self._shape = (*(1 for _ in shape[:-2]), *shape[-2:]) if self._preview else shape
        self._placement = placement(layer, index)
        self._layers: dict[str, tuple[Any, np.ndarray]] = {}

    def take(self, result: PlaneResult) -> None:
        """Show what one plane has become."""
        self.n_done += 1
        if result.stylized is not None:
            self._put("stylized", result.index, result.stylized, contrast_limits=(0, 1))
        self._put("labels", result.index, result.labels)

    def finish(self, n_planes: int) -> None:
        """Say so in the names of layers that were not completed."""
        if self.n_done < n_planes:
            for layer, _ in self._layers.values():
                layer.name = f"{layer.name} ({self.n_done} of {n_planes} planes)"

    def _put(self, kind: str, index: PlaneIndex, plane: np.ndarray, **attributes: Any) -> None:
        """Put a plane into its layer, which is added with the first one."""
        if kind not in self._layers:
            name = f"{self._title} {kind}"
            if self._preview and name in self._viewer.layers:
                self._viewer.layers.remove(name)
            array = np.zeros(self._shape, plane.dtype)
            add = self._viewer.add_labels if kind == "labels" else self._viewer.add_image
            self._layers[kind] = (add(array, name=name, **self._placement, **attributes), array)
        layer, array = self._layers[kind]
        array[(0,) * len(index) if self._preview else index] = plane
        layer.refresh()
