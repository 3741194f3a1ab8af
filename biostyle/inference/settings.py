"""How to compute: precision, memory and the size of strips and tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from biostyle.errors import ConfigError

CPU_MEMORY_BYTES = 4 * 2**30
_SHARE_OF_GPU = 0.8


@dataclass(frozen=True)
class InferenceSettings:
    """How a network is run on a frame; none of it but ``statistics`` and ``precision`` changes the result.

    Attributes
    ----------
    statistics : mapping of str to Tensor or None
        Frozen statistics of the generator's instance norms, from
        :func:`~biostyle.inference.translation.measure_statistics`. None takes each frame's own.
    precision : {"float32", "bfloat16"}
        What convolutions compute in. bfloat16 keeps three digits.
    memory_bytes : int or None
        What all arrays made here may take together, the frame that comes in and goes out included. None is 4 GiB,
        or four fifths of what is free on a GPU. What does not fit waits in a temporary file (``TMPDIR``).
    strip_px : int or None
        Rows computed at a time by the generator, in pixels of each layer. None chooses.
    tile_px : int or None
        Edge of the tiles of the segmenter, in pixels. None chooses.

    Raises
    ------
    ConfigError
        If a number is not positive, or the precision is another.
    """

    statistics: Mapping[str, torch.Tensor] | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    memory_bytes: int | None = None
    strip_px: int | None = None
    tile_px: int | None = None

    def __post_init__(self) -> None:
        for name in ("memory_bytes", "strip_px", "tile_px"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}. Correct it or leave it out.")
        if self.precision not in ("float32", "bfloat16"):
            raise ConfigError(
                f"precision must be float32 or bfloat16, got {self.precision!r}. Choose one of them."
            )

    @property
    def dtype(self) -> torch.dtype:
        """The type that ``precision`` names."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def memory_on(self, device: torch.device) -> int:
        """Return the memory that may be taken on a device.

        Parameters
        ----------
        device : device
            Where the network is.

        Returns
        -------
        int
            Bytes.
        """
        if self.memory_bytes is not None:
            return self.memory_bytes
        if device.type == "cuda":
            return int(_SHARE_OF_GPU * torch.cuda.mem_get_info(device)[0])
        return CPU_MEMORY_BYTES
