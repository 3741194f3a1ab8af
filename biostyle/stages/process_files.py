"""Stage: image files and an adapted model → files of the same kind, stylized or segmented.

Unlike other stages it makes many small results: each file is complete or absent for itself, one that cannot be processed
does not stop the others, and a second run does what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from biostyle.application import Model, Statistics
from biostyle.errors import BiostyleError, ImageError, InterruptedRunError
from biostyle.inference import InferenceSettings
from biostyle.io.axes import PlaneIndex
from biostyle.io.inputs import InputFile
from biostyle.io.instances import LabelType, Split, mask_dtype
from biostyle.io.value_range import RangeMapping, output_dtype
from biostyle.io.volume_info import VolumeInfo
from biostyle.io.volume_writer import check_output, differences, record_path, write_volume
from biostyle.io.volumes import Volume, open_volume
from biostyle.progress import Progress, SilentProgress
from biostyle.stages.overlap import Run, look_ahead
from biostyle.types import NDArray

Status = Literal["written", "up to date", "would be written", "failed"]


@dataclass(frozen=True)
class Task:
    """What is done to every file.

    Attributes
    ----------
    verb : {"stylize", "segment"}
        What is made of it.
    axes : str or None
        What its dimensions are; None where the files say so.
    series : int or None
        Which image of a file that holds several, counted from 0.
    channel : int or None
        Which channel or colour, counted from 0; None for each channel by itself.
    dtype : {"same", "uint8", "uint16", "float32"}
        Type of stylized files.
    labels : {"components", "watershed"} or None
        Whether and how masks are numbered.
    label_dtype : {"uint16", "uint32"}
        Type of the numbers.
    statistics : {"frame", "stack", "train"}
        See :meth:`biostyle.application.Model.stylize`.
    overwrite : bool
        Whether older outputs of another request may be replaced.
    """

    verb: Literal["stylize", "segment"]
    axes: str | None = None
    series: int | None = None
    channel: int | None = None
    dtype: str = "same"
    labels: Split | None = None
    label_dtype: LabelType = "uint16"
    statistics: Statistics = "frame"
    overwrite: bool = False

    def request(self, model: Model) -> dict[str, Any]:
        """Return everything the result depends on beside the file.

        Parameters
        ----------
        model : Model
            The model.

        Returns
        -------
        dict
            Fit for JSON.
        """
        masks = {"labels": self.labels or "binary", "dtype": mask_dtype(self.labels, self.label_dtype).name}
        of_verb = {"dtype": self.dtype} if self.verb == "stylize" else masks
        chosen = {"axes": self.axes, "series": self.series, "channel": self.channel}
        return {
            "verb": self.verb,
            "model": model.fingerprint,
            **chosen,
            **of_verb,
            "statistics": self.statistics,
        }

    def describe(self, info: VolumeInfo, colour: bool = False) -> VolumeInfo:
        """Describe the result for a file.

        Parameters
        ----------
        info : VolumeInfo
            The file.
        colour : bool
            Whether the model is one of colour photographs.

        Returns
        -------
        VolumeInfo
            The same grid, axes and storage with the result's type.

        Raises
        ------
        ImageError
            If the channel does not exist, or one has to be chosen; if a model of colour photographs gets another image.
        """
        if colour:
            return _describe_mask_of_photograph(info, self)
        one = info if self.channel is None else info.select_channel(self.channel)
        if "S" in one.axes:
            raise ImageError(
                f"image must hold gray values, got axes {info.axes} of shape {info.shape} ({info.path}). "
                "Choose a colour with --channel 0, 1 or 2."
            )
        if self.verb == "segment":
            return one.for_masks(mask_dtype(self.labels, self.label_dtype))
        return replace(one.with_dtype(output_dtype(self.dtype, info.dtype)), photometric="minisblack")


def _describe_mask_of_photograph(info: VolumeInfo, task: Task) -> VolumeInfo:
    """Describe the mask of a file whose planes are colour photographs."""
    n_colours = dict(zip(info.axes, info.shape, strict=True)).get("S")
    if n_colours != 3 or task.channel is not None:
        chosen = "" if task.channel is None else f" and --channel {task.channel}"
        raise ImageError(
            f"image must hold red, green and blue for a model of colour photographs, got axes {info.axes} of shape "
            f"{info.shape}{chosen} ({info.path}). Give it photographs in colour, all of their colours."
        )
    return info.select_channel(0).for_masks(mask_dtype(task.labels, task.label_dtype))


@dataclass(frozen=True)
class FileResult:
    """What became of one file.

    Attributes
    ----------
    source, output : str
        The file, and its result.
    status : {"written", "up to date", "would be written", "failed"}
        What was done.
    error : str
        Why it failed.
    warnings : tuple of str
        What to look at.
    """

    source: str
    output: str
    status: Status
    error: str = ""
    warnings: tuple[str, ...] = ()


def process_files(
    model: Model,
    files: Sequence[InputFile],
    out: Path,
    task: Task,
    *,
    workers: int = 2,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> list[FileResult]:
    """Stylize or segment files.

    Parameters
    ----------
    model : Model
        The adapted model.
    files : sequence of InputFile
        From :func:`biostyle.io.inputs.find_inputs`.
    out : Path
        Folder of the results, none of which lies beside its input.
    task : Task
        What to do.
    workers : int
        Files read and written at the same time; planes are computed one after the other. With 1, nothing
        overlaps. The results do not depend on it.
    dry_run : bool
        Open the files and say what would be done.
    progress : Progress, optional
        Whom to tell.

    Returns
    -------
    list of FileResult
        One a file, in their order; bad files are among them.

    Raises
    ------
    CheckpointError, ConfigError
        If the model cannot do the task, whatever the files.
    """
    model.check(task.verb, task.statistics)
    run = Run(len(files), progress or SilentProgress())
    with ThreadPoolExecutor(max(workers, 1)) as threads:
        waiting = [
            threads.submit(process_file, model, file, out, task, run, ahead=workers > 1, dry_run=dry_run)
            for file in files
        ]
        try:
            return [future.result() for future in waiting]
        except BaseException:
            run.stop()
            threads.shutdown(cancel_futures=True)
            raise


def process_file(
    model: Model,
    file: InputFile,
    out: Path,
    task: Task,
    run: Run | None = None,
    *,
    ahead: bool = False,
    dry_run: bool = False,
) -> FileResult:
    """Stylize or segment one file.

    Parameters
    ----------
    model : Model
        The adapted model.
    file : InputFile
        The file, and the name of its result.
    out : Path
        Folder of the results.
    task : Task
        What to do.
    run : Run, optional
        What it shares with other files.
    ahead : bool
        Whether to read the next plane and write the last one while one is computed.
    dry_run : bool
        Open the file and say what would be done.

    Returns
    -------
    FileResult
        Errors made on purpose, and those of disks and memory, are in it and are not raised.
    """
    target, run = out / file.output, run or Run()
    source = str(file.path)
    try:
        with open_volume(file.path, task.axes, task.series) as volume:
            task.describe(volume.info, model.colour)
            indices = list(volume.info.planes(0 if model.colour else task.channel))
            run.count(n_found=len(indices) - 1)
            differing: tuple[str, ...] = ()
            if record_path(target).is_file():
                differing = differences(target, volume.source_sha256(), task.request(model))
                if not differing:
                    run.count(n_done=len(indices))
                    return FileResult(source, str(target), "up to date")
            check_output(target, file.path, overwrite=task.overwrite, differing=differing)
            if dry_run:
                run.count(n_done=len(indices))
                return FileResult(source, str(target), "would be written")
            warnings = _write(model, volume, indices, target, task, run, ahead)
            return FileResult(source, str(target), "written", warnings=warnings)
    except InterruptedRunError:
        raise
    except (BiostyleError, OSError, MemoryError) as error:
        text = f"{type(error).__name__}: {error}"
        run.progress.note(text)
        return FileResult(source, str(target), "failed", text)


def _write(
    model: Model,
    volume: Volume,
    indices: list[PlaneIndex],
    target: Path,
    task: Task,
    run: Run,
    ahead: bool,
) -> tuple[str, ...]:
    """Read, compute and write plane by plane; return what to look at."""
    info = task.describe(volume.info, model.colour)
    read = _photograph_reader(volume) if model.colour else volume.read_plane
    mapping = RangeMapping(info.dtype) if task.verb == "stylize" else None
    measure = partial(model.plane_settings, task.statistics, volume.info.axes, indices, read)
    settings = run.compute(measure)
    constant: list[PlaneIndex] = []  # a closed shutter: no reason to refuse a movie, but to be told

    def computed(planes: Iterable[NDArray]) -> Iterator[NDArray]:
        for index, plane in zip(indices, planes, strict=True):
            if plane.min() == plane.max():
                constant.append(index)
            yield run.compute(partial(_compute, model, task, plane, settings(index)))
            run.count(n_done=1)

    with (
        closing(look_ahead(map(read, indices), ahead)) as planes,
        closing(look_ahead(computed(planes), ahead)) as results,
    ):
        write_volume(
            target,
            info,
            results if mapping is None else map(mapping.apply, results),
            volume,
            mapping=mapping,
            labels=task.labels is not None,
            request=task.request(model),
            note=f"{task.verb} with model {model.fingerprint[:12]}",
            overwrite=task.overwrite,
        )
    if not constant:
        return ()
    return (f"{len(constant)} of {len(indices)} planes are constant; nothing can be seen in them ({target})",)


def _photograph_reader(volume: Volume) -> Callable[[PlaneIndex], NDArray]:
    """A function that reads all colours of the plane whose red is named; (H, W, 3)."""
    colours = zip(*(volume.info.planes(colour) for colour in range(3)), strict=True)
    by_red = {indices[0]: indices for indices in colours}
    return lambda red: np.stack([volume.read_plane(index) for index in by_red[red]], axis=-1)


def _compute(model: Model, task: Task, plane: NDArray, settings: InferenceSettings) -> NDArray:
    """Compute one plane of the result."""
    if task.verb == "stylize":
        return model.stylize_plane(plane, settings)
    return model.segment_plane(plane, settings, task.labels, task.label_dtype)
