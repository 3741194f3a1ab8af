"""The generator on frames of any size: the whole frame's result, strip by strip.

The instance norms of the generator take mean and variance over the whole frame, so a tile that is translated on its
own comes out wrong. Here each layer is computed over the whole frame before the next one begins, in strips of rows over
the frame's full width; its statistics are gathered on the way. A strip asks for the few rows beyond its edge that its
kernel reaches, and is padded where the frame ends. So the result is that of the whole frame, whatever the strips.

Memory, for a frame of H x W pixels, n filters and strips of s rows, all in bytes::

    frame in and out        4 H W (C + C')
    strips                  about 10 · 4 n s W    (s is 32 at least)
    layers between passes   what is left of ``memory_bytes``

A layer of the residual blocks takes 4 n H W / 4, and two of them are alive at a time; where they do not fit they wait in
a temporary file. A layer before or behind the blocks takes up to 4 n H W; where it does not fit it is computed again
from the layer before, which costs half as much again in all. A 16 384 x 16 384 frame with 16 filters takes 2 GiB for
the frame in and out, a third of a GiB for strips and 8 GiB of temporary file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from biostyle.errors import CheckpointError, ConfigError
from biostyle.inference.layer import normalisation
from biostyle.inference.moments import ChannelMoments
from biostyle.inference.scratch import Region, Scratch
from biostyle.inference.settings import InferenceSettings
from biostyle.inference.stage import Stage, take_apart
from biostyle.inference.strip import Rows
from biostyle.models.padding import padded_length
from biostyle.models.resnet_generator import MULTIPLE, SMALLEST, ResnetGenerator

_FEWEST_ROWS = 32
_STRIPS_ALIVE = 10
_CACHE_BYTES = 3 * 2**20  # a strip's share of the processor's cache


@torch.inference_mode()
def translate(
    generator: ResnetGenerator, images: torch.Tensor, settings: InferenceSettings | None = None
) -> torch.Tensor:
    """Translate frames of any size exactly.

    Parameters
    ----------
    generator : ResnetGenerator
        On the device to compute on.
    images : Tensor of shape (N, C, H, W)
        Images in [0, 1], on any device; each is translated on its own.
    settings : InferenceSettings or None
        Statistics, precision and memory. None is the default of each.

    Returns
    -------
    Tensor of shape (N, C', H, W)
        What ``generator(images)`` gives, to a relative error of 1e-5 in float32, on the device of ``images``. With
        frozen statistics, what it would give if its instance norms used these.

    Raises
    ------
    ConfigError
        If the memory does not hold the frame.
    CheckpointError
        If the frozen statistics are not of this generator.
    OutputError
        If the temporary file cannot be written.
    """
    settings = settings or InferenceSettings()
    given = check_statistics(generator, settings.statistics) if settings.statistics is not None else {}
    device = _device(generator)
    height, width = images.shape[-2:]
    n_channels = int(generator.arguments["out_channels"])
    translated = images.new_empty((images.shape[0], n_channels, height, width))
    held = (images.nbytes + translated.nbytes) if images.device.type == device.type else 0
    strip_px, free = _plan(generator, (height, width), settings, held)
    stages, last = take_apart(generator, settings.dtype)
    for image, out in zip(images.split(1), translated.split(1), strict=True):
        with Scratch(free, settings.dtype, device) as scratch:
            frame = _Frame(_Planes([image], settings.dtype, device).rows(0), strip_px)
            _run(stages, [frame], scratch, given)
            final = frame.rows.then(last)
            for start in range(0, height, strip_px):
                stop = min(start + strip_px, height)
                out[:, :, start:stop] = final(start, stop)[..., :width]
    return translated


@torch.inference_mode()
def measure_statistics(
    generator: ResnetGenerator, planes: Sequence[torch.Tensor], settings: InferenceSettings | None = None
) -> dict[str, torch.Tensor]:
    """Measure the statistics of every instance norm over many frames together.

    Over the planes of a stack they make all planes comparable; over the training images they make the translation of a
    frame independent of everything else in it.

    Parameters
    ----------
    generator : ResnetGenerator
        On the device to compute on.
    planes : sequence of Tensor of shape (1, C, H, W)
        Images in [0, 1], of any sizes. One is held at a time and each is asked for about four times, so the sequence
        may read them from files.
    settings : InferenceSettings or None
        Precision and memory; ``statistics`` is ignored. Layers of the blocks of all planes are kept between passes,
        beyond the memory in a temporary file of 8 n bytes a pixel for n filters and 16 pixels.

    Returns
    -------
    dict of str to Tensor of shape (C,)
        ``<layer>.mean`` and ``<layer>.variance``, float64 on the CPU, to be given as
        ``InferenceSettings(statistics=…)`` and fit for a safetensors file.

    Raises
    ------
    ConfigError
        If there is no plane, or the memory does not hold one.
    OutputError
        If the temporary file cannot be written.
    """
    settings = settings or InferenceSettings()
    if len(planes) == 0:
        raise ConfigError("planes must hold at least one frame, got 0. Give the frames to measure.")
    device = _device(generator)
    source = _Planes(planes, settings.dtype, device)
    frames, free = [], settings.memory_on(device)
    for i in range(len(planes)):
        plane = source.load(i)
        held = plane.nbytes if plane.device.type == device.type else 0
        strip_px, left = _plan(generator, (plane.shape[2], plane.shape[3]), settings, held)
        free = min(free, left)
        frames.append(_Frame(source.rows(i), strip_px))
    stages, _ = take_apart(generator, settings.dtype)
    with Scratch(free, settings.dtype, device) as scratch:
        return _run(stages, frames, scratch, {})


def check_statistics(
    generator: ResnetGenerator, statistics: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Check that frozen statistics belong to a generator.

    Parameters
    ----------
    generator : ResnetGenerator
        The generator.
    statistics : mapping of str to Tensor
        What :func:`measure_statistics` returned.

    Returns
    -------
    dict of str to Tensor of shape (C,)
        The same, float64 on the generator's device.

    Raises
    ------
    CheckpointError
        If an entry is missing, has another shape, is not finite, or is a negative variance.
    """
    checked = {}
    for stage in take_apart(generator, torch.float32)[0]:
        for key in (f"{stage.name}.mean", f"{stage.name}.variance"):
            value = statistics.get(key)
            found = "nothing" if value is None else f"shape {tuple(value.shape)}"
            if value is None or tuple(value.shape) != (stage.n_channels,):
                raise CheckpointError(
                    f"statistics must hold {key} of shape ({stage.n_channels},), got {found}. "
                    "Measure them again with this generator."
                )
            if not value.isfinite().all() or (key.endswith("variance") and (value < 0).any()):
                raise CheckpointError(
                    f"statistics must be finite and variances not negative, got {value.min():g} as the least of "
                    f"{key}. Measure them again."
                )
            checked[key] = value.to(_device(generator), torch.float64)
    return checked


@dataclass
class _Frame:
    """How far a frame has come."""

    rows: Rows
    strip_px: int
    region: Region | None = None  # where the rows begin, if they were kept
    skip: tuple[Rows, Region] | None = None  # input of the residual block

    def sweep(self, rows: Rows) -> Iterator[tuple[int, torch.Tensor]]:
        """Compute all rows in strips; fewer rows at a time where each comes from several rows of the source."""
        step = max(1, self.strip_px * rows.height // max(rows.heights))
        for start in range(0, rows.height, step):
            yield start, rows(start, min(start + step, rows.height))

    def convolve(self, stage: Stage, scratch: Scratch, moments: ChannelMoments | None) -> None:
        """Go one convolution further, measure it, and keep it where there is room.

        The second convolution of a block overwrites the first, whose rows it needs for the next strip: each strip is
        written after the next one has been computed.
        """
        if stage.opens:
            assert self.region is not None
            self.skip = self.rows, self.region
        rows = self.rows.then(stage.step)
        into = self.region if stage.closes else None
        waiting = None
        for start, values in self.sweep(rows) if moments or stage.inner else ():
            if moments:
                moments.add(values)
            if start == 0 and not stage.closes:
                shape = rows.height, values.shape[3], values.shape[1]
                into = scratch.allocate(shape, spill=stage.inner)
            if into and waiting:
                into.write(*waiting)
            waiting = start, values
        if into and waiting:
            into.write(*waiting)
            if self.region and into is not self.region and not stage.opens:
                scratch.release(self.region)
            self.region, rows = into, Rows(into.read, (rows.height,))
        self.rows = rows

    def add_skip(self, scratch: Scratch) -> None:
        """Add a block's input to what became of it, in the input's place."""
        assert self.skip is not None
        assert self.region is not None
        skip, into = self.skip
        for start, values in self.sweep(self.rows):
            into.write(start, skip(start, start + values.shape[2]) + values)
        scratch.release(self.region)
        self.rows, self.region, self.skip = Rows(into.read, (self.rows.height,)), into, None


def _run(
    stages: list[Stage], frames: list[_Frame], scratch: Scratch, given: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Bring frames up to the last norm, one layer of all frames after the other; return the statistics."""
    statistics = dict(given)
    for stage in stages:
        mean, variance = f"{stage.name}.mean", f"{stage.name}.variance"
        moments = None if mean in given else ChannelMoments(stage.n_channels, scratch.device)
        for frame in frames:
            frame.convolve(stage, scratch, moments)
        if moments:
            statistics |= {mean: moments.mean, variance: moments.variance}
        norm = normalisation(statistics[mean], statistics[variance], stage.eps, stage.relu)
        for frame in frames:
            frame.rows = frame.rows.then(norm)
            if stage.closes:
                frame.add_skip(scratch)
    return {key: value.cpu() for key, value in statistics.items()}


class _Planes:
    """Frames as input of the first layer, padded as the generator pads; the last one asked for is held."""

    def __init__(self, planes: Sequence[torch.Tensor], dtype: torch.dtype, device: torch.device) -> None:
        self._planes, self._dtype, self._device = planes, dtype, device
        self._held: tuple[int, torch.Tensor] | None = None

    def load(self, index: int) -> torch.Tensor:
        """Return a frame."""
        if self._held is None or self._held[0] != index:
            self._held = None  # the one before need not stay while the next is read
            self._held = index, self._planes[index]
        return self._held[1]

    def rows(self, index: int) -> Rows:
        """Return the rows of a frame."""
        height, width = self.load(index).shape[-2:]
        below, right = (padded_length(n, MULTIPLE, SMALLEST) - n for n in (height, width))
        mirrored = below < height and right < width
        beyond = torch.arange(height, height + below)
        order = torch.cat(
            [torch.arange(height), 2 * (height - 1) - beyond if mirrored else beyond * 0 + height - 1]
        )

        def read(start: int, stop: int) -> torch.Tensor:
            image = self.load(index)
            values = image[:, :, start:stop] if stop <= height else image[:, :, order[start:stop]]
            values = values.to(self._device) * 2 - 1
            if right:
                values = F.pad(values, (0, right, 0, 0), mode="reflect" if mirrored else "replicate")
            return values.to(self._dtype).contiguous(memory_format=torch.channels_last)

        return Rows(read, (height + below,))


def _plan(
    generator: ResnetGenerator, size: tuple[int, int], settings: InferenceSettings, held: int
) -> tuple[int, int]:
    """Choose the rows of a strip, and what memory is left for layers between passes."""
    device = _device(generator)
    budget = settings.memory_on(device) - held
    height, width = (padded_length(n, MULTIPLE, SMALLEST) for n in size)
    row_bytes = int(generator.arguments["n_filters"]) * width * settings.dtype.itemsize
    strip_px = settings.strip_px
    if strip_px is None:
        wanted = budget // (2 * _STRIPS_ALIVE)
        if device.type == "cpu":
            wanted = min(wanted, _CACHE_BYTES)
        strip_px = min(max(wanted // row_bytes, _FEWEST_ROWS), height)
    needed = _STRIPS_ALIVE * strip_px * row_bytes
    if needed > budget:
        raise ConfigError(
            f"memory_bytes must be at least {held + needed} for a frame of {size[0]} x {size[1]} px, "
            f"got {held + budget}. Give more, or use a smaller strip_px."
        )
    return strip_px, budget - needed


def _device(generator: ResnetGenerator) -> torch.device:
    """Where the generator is."""
    return next(generator.parameters()).device
