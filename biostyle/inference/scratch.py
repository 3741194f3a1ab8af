"""Room for intermediate layers: in memory as long as there is some, then in a temporary file."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from types import TracebackType

import torch

from biostyle.errors import OutputError


@dataclass(frozen=True)
class Region:
    """The rows of one layer of one frame.

    Attributes
    ----------
    shape : tuple of int
        Height, width and channels.
    memory : Tensor or None
        Of that shape, where the layer is held in memory.
    scratch : Scratch
        Who made it.
    offset : int
        Where it begins in the file, in bytes, where it is not held in memory.
    """

    shape: tuple[int, int, int]
    memory: torch.Tensor | None
    scratch: Scratch
    offset: int

    def read(self, start: int, stop: int) -> torch.Tensor:
        """Return some rows.

        Parameters
        ----------
        start, stop : int
            The rows.

        Returns
        -------
        Tensor of shape (1, C, stop - start, W)
            The values, channels last in memory; not to be changed.
        """
        held = self.memory
        rows = self.scratch.read_rows(self, start, stop) if held is None else held[start:stop]
        return rows[None].permute(0, 3, 1, 2)

    def write(self, start: int, values: torch.Tensor) -> None:
        """Replace some rows.

        Parameters
        ----------
        start : int
            The first row.
        values : Tensor of shape (1, C, rows, W)
            Their new values.
        """
        rows = values[0].permute(1, 2, 0)
        if self.memory is not None:
            self.memory[start : start + rows.shape[0]] = rows
        else:
            self.scratch.write_rows(self, start, rows)


class Scratch:
    """Where layers are kept between two passes; a context manager that leaves nothing behind.

    Parameters
    ----------
    memory_bytes : int
        What the layers may take in memory; whatever exceeds it goes into one unnamed temporary file.
    dtype : dtype
        Of all layers.
    device : device
        Where layers in memory are held.
    """

    def __init__(self, memory_bytes: int, dtype: torch.dtype, device: torch.device) -> None:
        self.free_bytes = memory_bytes
        self.file_bytes = 0
        self._dtype = dtype
        self.device = device
        self._file: io.BufferedRandom | None = None
        self._released: list[Region] = []

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def allocate(self, shape: tuple[int, int, int], spill: bool) -> Region | None:
        """Make room for a layer.

        Parameters
        ----------
        shape : tuple of int
            Height, width and channels.
        spill : bool
            Whether it may go into the file.

        Returns
        -------
        Region or None
            None where it may not and memory is used up.
        """
        for region in self._released:
            if region.shape == shape and (spill or region.memory is not None):
                self._released.remove(region)
                return region
        n_bytes = self._bytes(shape)
        if n_bytes > self.free_bytes:
            self._forget_released()
        if n_bytes <= self.free_bytes:
            self.free_bytes -= n_bytes
            return Region(shape, torch.empty(shape, dtype=self._dtype, device=self.device), self, 0)
        if not spill:
            return None
        self.file_bytes += n_bytes
        return Region(shape, None, self, self.file_bytes - n_bytes)

    def release(self, region: Region) -> None:
        """Give a layer's room back.

        Parameters
        ----------
        region : Region
            It must not be used any more.
        """
        self._released.append(region)

    def read_rows(self, region: Region, start: int, stop: int) -> torch.Tensor:
        """Read rows of a layer from the file.

        Parameters
        ----------
        region : Region
            The layer.
        start, stop : int
            The rows.

        Returns
        -------
        Tensor of shape (stop - start, W, C)
            On the device.

        Raises
        ------
        OutputError
            If the file cannot be read.
        """
        rows = torch.empty((stop - start, *region.shape[1:]), dtype=self._dtype)
        try:
            file = self._opened()
            file.seek(region.offset + start * self._bytes((1, *region.shape[1:])))
            file.readinto(rows.view(torch.uint8).numpy().data)
        except OSError as error:
            raise self._broken(error) from error
        return rows.to(self.device)

    def write_rows(self, region: Region, start: int, rows: torch.Tensor) -> None:
        """Write rows of a layer to the file.

        Parameters
        ----------
        region : Region
            The layer.
        start : int
            The first row.
        rows : Tensor of shape (rows, W, C)
            Their values.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        content = rows.to("cpu", self._dtype).contiguous().view(torch.uint8).numpy()
        try:
            file = self._opened()
            file.seek(region.offset + start * self._bytes((1, *region.shape[1:])))
            file.write(content.data)
        except OSError as error:
            raise self._broken(error) from error

    def _forget_released(self) -> None:
        """Free the memory of layers nobody uses any more; they were held because new memory is slow at first."""
        in_memory = [region for region in self._released if region.memory is not None]
        self.free_bytes += sum(self._bytes(region.shape) for region in in_memory)
        self._released = [region for region in self._released if region.memory is None]

    def _opened(self) -> io.BufferedRandom:
        """Open the file at its first use."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="biostyle-")  # noqa: SIM115 (closed by __exit__)
        return self._file

    def _bytes(self, shape: tuple[int, int, int]) -> int:
        """Size of a layer."""
        return shape[0] * shape[1] * shape[2] * self._dtype.itemsize

    def _broken(self, error: OSError) -> OutputError:
        """Word what became of the file."""
        return OutputError(
            f"temporary folder must hold {self.file_bytes / 2**30:.1f} GiB, got {error.strerror} "
            f"({tempfile.gettempdir()}). Point TMPDIR at a larger disk, or give more memory."
        )
