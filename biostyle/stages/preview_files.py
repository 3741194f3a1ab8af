"""Stage: a few of many image files → pictures of them before and after stylization."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from biostyle.application import Model
from biostyle.data.prepared import spread
from biostyle.errors import BiostyleError
from biostyle.io.atomic import write_atomically
from biostyle.io.inputs import InputFile
from biostyle.io.raster import encode_png
from biostyle.io.scaling import to_unit_range
from biostyle.io.volume_writer import check_output
from biostyle.io.volumes import open_volume
from biostyle.progress import Progress
from biostyle.stages.process_files import FileResult, Task
from biostyle.types import NDArray

_GAP_PX = 8


def preview_files(
    model: Model, files: Sequence[InputFile], out: Path, task: Task, n_files: int, progress: Progress
) -> list[FileResult]:
    """Draw before | after for some files, spread evenly over all of them.

    Parameters
    ----------
    model : Model
        The adapted model.
    files : sequence of InputFile
        From :func:`biostyle.io.inputs.find_inputs`.
    out : Path
        Folder of the pictures, ``NAME.png`` each: the plane in the middle of the file.
    task : Task
        How files are read, and where the statistics come from.
    n_files : int
        How many files to draw.
    progress : Progress
        Whom to tell.

    Returns
    -------
    list of FileResult
        One a drawn file; bad files are among them.

    Raises
    ------
    CheckpointError, ConfigError
        If the model cannot stylize, whatever the files.
    """
    model.check("stylize", task.statistics)
    chosen = spread(list(files), n_files)
    results = []
    for number, file in enumerate(chosen):
        target = out / f"{file.output}.png"
        names = str(file.path), str(target)
        try:
            check_output(target, file.path, overwrite=task.overwrite)
            write_atomically(target, encode_png(_picture(model, file, task), [], "biostyle: before | after"))
            results.append(FileResult(*names, "written"))
        except (BiostyleError, OSError, MemoryError) as error:
            text = f"{type(error).__name__}: {error}"
            progress.note(text)
            results.append(FileResult(*names, "failed", text))
        progress.update(number + 1, len(chosen), {})
    return results


def _picture(model: Model, file: InputFile, task: Task) -> NDArray:
    """Draw a file's middle plane beside what it becomes, in 8 bits."""
    with open_volume(file.path, task.axes, task.series) as volume:
        task.describe(volume.info)
        indices = list(volume.info.planes(task.channel))
        settings = model.plane_settings(task.statistics, volume.info.axes, indices, volume.read_plane)
        index = indices[len(indices) // 2]
        plane = volume.read_plane(index)
    before, after = to_unit_range(plane), model.stylize_plane(plane, settings(index))
    gap = np.ones((plane.shape[0], _GAP_PX), np.float32)
    return np.rint(np.hstack([before, gap, after]) * 255).astype(np.uint8)
