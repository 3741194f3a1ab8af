"""The parts of an adapted model as one network from a frame to a result on the frame's own grid."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from biostyle.adapted_model import (
    CHAIN,
    DESCRIPTION,
    GENERATOR,
    PARTS,
    SEGMENTER,
    SINGLE_OBJECT,
    load_adapted,
)
from biostyle.artifacts import RECORD, read_record
from biostyle.checkpoints import load_model, read_card
from biostyle.data.preprocessing import Preprocessing, resize
from biostyle.errors import CheckpointError, ConfigError, OutputError

Part = Literal["stylizer", "segmenter", "composition"]


class FrameNetwork(nn.Module):
    """A network with the resizing before and after it.

    Parameters
    ----------
    network : Module
        A Stylizer or a Segmenter, in evaluation mode.
    working_scale : float
        Size of its input relative to the frame.
    segments : bool
        Whether it is a Segmenter.
    """

    def __init__(self, network: nn.Module, working_scale: float, *, segments: bool) -> None:
        super().__init__()
        self.network = network
        self.working_scale = working_scale
        self.segments = segments

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute a batch.

        Parameters
        ----------
        images : Tensor of shape (N, 1, H, W)
            Frames in [0, 1], at their own size.

        Returns
        -------
        Tensor of shape (N, K, H, W)
            Stylized frames in [0, 1], K = 1, or probabilities of K classes, background first.
        """
        height, width = images.shape[-2:]
        if self.working_scale != 1:
            size = tuple(_rounded(length * self.working_scale) for length in (height, width))
            images = resize(images, (size[0], size[1])).clamp(0, 1)
        result = self.network(images)
        if self.working_scale != 1:
            result = resize(result, (height, width))
        return result.softmax(dim=1) if self.segments else result.clamp(0, 1)


@dataclass(frozen=True)
class ModelPart:
    """One part, ready to be exported.

    Attributes
    ----------
    name : {"stylizer", "segmenter", "composition"}
        Which part.
    network : FrameNetwork
        On the CPU, in evaluation mode.
    preprocessing : Preprocessing
        How raw frames become its input; the working scale is applied inside the network.
    """

    name: Part
    network: FrameNetwork
    preprocessing: Preprocessing

    @property
    def output(self) -> str:
        """Name of what comes out."""
        return "probabilities" if self.network.segments else "stylized"


def open_part(directory: Path, name: Part) -> ModelPart:
    """Open one part of an adapted model.

    Parameters
    ----------
    directory : Path
        What ``biostyle adapt`` leaves in ``OUT/model``.
    name : {"stylizer", "segmenter", "composition"}
        The chain and the generator; the segmenter, for stylized frames; or both, for frames as they are.

    Returns
    -------
    ModelPart
        The part.

    Raises
    ------
    CheckpointError
        If it is not there, or a part cannot be read. Pickles are never opened.
    ChecksumError
        If a file of a finished directory is missing, new or altered.
    ConfigError
        If the model works at a size that depends on the frame.
    """
    check_model(directory)
    adapted = load_adapted(directory)
    network, preprocessing = adapted.segmenter, adapted.preprocessing
    if name == "stylizer":
        if adapted.stylizer is None:
            raise CheckpointError(
                f"model must hold {CHAIN} or {GENERATOR} for its stylizer to be exported, got a segmenter alone "
                f"({directory}). Export the segmenter."
            )
        network = adapted.stylizer
    elif name == "segmenter":
        network, card = load_model(directory / SEGMENTER)
        preprocessing = Preprocessing.model_validate(card["preprocessing"])
    elif (directory / SINGLE_OBJECT).is_dir():
        raise ConfigError(
            f"composition must be left out for a model with {SINGLE_OBJECT}, got one ({directory}): keeping one object is no "
            "network. Export its stylizer and its segmenter."
        )
    if preprocessing.working_side_px is not None:
        raise ConfigError(
            f"working_side_px must be left out for an export, got {preprocessing.working_side_px} ({directory}). "
            "Export models of frames of one size."
        )
    whole = FrameNetwork(network, preprocessing.working_scale, segments=name != "stylizer")
    return ModelPart(name, whole.eval(), preprocessing)


def check_model(directory: Path) -> None:
    """Refuse a directory that was altered since it was finished.

    Parameters
    ----------
    directory : Path
        An adapted model; a copy without a record is taken as it is.

    Raises
    ------
    ChecksumError
        If a file is missing, new or altered.
    """
    if (directory / RECORD).is_file():
        read_record(directory)


def read_description(directory: Path) -> dict[str, Any]:
    """Read what an adapted model says of how it came about, and what its parts are.

    Parameters
    ----------
    directory : Path
        An adapted model.

    Returns
    -------
    dict
        ``adapted.json`` with ``parts``: the cards of its parts by name, without weights.

    Raises
    ------
    CheckpointError
        If a file is missing or is not what it should be.
    """
    path = directory / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(description, dict):
            raise ValueError(f"a {type(description).__name__}")
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{DESCRIPTION} must describe an adapted model, got {error} ({path}). Point at OUT/model of adapt."
        ) from error
    names = [name for name in PARTS if (directory / name).is_dir()]
    return {**description, "parts": {name: read_card(directory / name) for name in names}}


@contextmanager
def new_output(out: Path) -> Iterator[Path]:
    """Make a file or folder that is complete or absent.

    Parameters
    ----------
    out : Path
        Where it is to be; nothing may be there.

    Yields
    ------
    Path
        A hidden empty folder beside it; what is put there under the name of `out` is moved to `out` at the end.

    Raises
    ------
    OutputError
        If something is there, or it cannot be written.
    """
    if out.exists():
        raise OutputError(f"output must be new, got something that exists ({out}). Choose another --out.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        try:
            yield partial
            (partial / out.name).rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"output must be writable, got {error.strerror or error} ({out}). Free space or choose another --out."
        ) from error


def _rounded(length: float) -> int:
    """Round half to even as :func:`round` does, at least to 1, in terms that hold for a length that is a symbol."""
    up = math.floor(length + 0.5)
    tie = 1 - (math.ceil(length + 0.5) - up)
    return torch.sym_max(1, up - tie * (up % 2))  # type: ignore[return-value]
