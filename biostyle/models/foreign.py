"""Other people's segmenters, made to keep the promises of a Segmenter and tried before they are trusted."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from biostyle.errors import CheckpointError
from biostyle.models.foreign_files import build_entry, last_line, load_network
from biostyle.models.padding import pad_to_multiple

ENTRY = "entry"
# What a foreign segmenter's file is called in a model directory, by architecture.
FOREIGN_FILES = {"torchscript": "model.pt", "exported_program": "model.pt2"}
_ENTRY_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class ForeignSegmenter(nn.Module):
    """A network of unknown make that keeps the promises of a Segmenter.

    It stays in the mode it was made in, which is evaluation: an exported program has no other.

    Parameters
    ----------
    network : Module
        Maps images (N, 1, H, W) in [0, 1] to class scores (N, K, H, W) before softmax, background first, or to one
        logit of foreground (N, 1, H, W).
    architecture : {"torchscript", "exported_program", "entry"}
        What it is.
    origin : str
        The file it was read from, or the entry ``package.module:factory``.
    multiple : int
        What height and width of its input must be multiples of. Images are padded by reflection, scores cropped.
    differentiable : bool
        Whether gradients pass through it.
    """

    def __init__(
        self,
        network: nn.Module,
        architecture: str,
        origin: str,
        multiple: int = 1,
        differentiable: bool = True,
    ) -> None:
        super().__init__()
        self.network = network
        self.architecture = architecture
        self.origin = origin
        self.multiple = multiple
        self.differentiable = differentiable
        self.training = False

    def __deepcopy__(self, memo: dict[int, Any]) -> ForeignSegmenter:
        """Copy it so that the copy can be trained; plain copies of TorchScript's weights have a history."""
        with torch.no_grad():
            network = copy.deepcopy(self.network, memo)
        for new, old in zip(network.parameters(), self.network.parameters(), strict=True):
            new.requires_grad_(old.requires_grad)
        return ForeignSegmenter(network, self.architecture, self.origin, self.multiple, self.differentiable)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the card must say to make it again."""
        entry = {"entry": self.origin} if self.architecture == ENTRY else {}
        return {**entry, "multiple": self.multiple}

    def train(self, mode: bool = True) -> ForeignSegmenter:
        """Do nothing.

        Parameters
        ----------
        mode : bool
            Not used.

        Returns
        -------
        ForeignSegmenter
            Itself.
        """
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Segment a batch.

        Parameters
        ----------
        images : Tensor of shape (N, 1, H, W)
            Images in [0, 1].

        Returns
        -------
        Tensor of shape (N, K, H, W)
            Unnormalised class scores, float32, K ≥ 2.

        Raises
        ------
        CheckpointError
            If the network fails, or returns something else than scores on the grid of the images.
        """
        height, width = images.shape[-2:]
        padded = pad_to_multiple(images, self.multiple)
        try:
            scores = self.network(padded)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever somebody else's code raises
            raise CheckpointError(
                f"segmenter must take images of shape {tuple(padded.shape)}, got {type(error).__name__}: "
                f"{last_line(error)} ({self.origin}). Pass --multiple if sides must be multiples of a number, "
                "or wrap it so that it takes one channel and any size."
            ) from error
        scores = _checked_scores(scores, padded, self.origin)[..., :height, :width]
        return torch.cat([torch.zeros_like(scores), scores], dim=1) if scores.shape[1] == 1 else scores


def is_entry(source: str) -> bool:
    """Tell ``package.module:factory`` from a path.

    Parameters
    ----------
    source : str
        What the user named.

    Returns
    -------
    bool
        Whether it has that form and no such file exists.

    Examples
    --------
    >>> is_entry("my_package.networks:make_segmenter"), is_entry("models/segmenter.pt")
    (True, False)
    """
    return _ENTRY_NAME.fullmatch(source) is not None and not Path(source).exists()


def open_foreign(source: str, multiple: int = 1) -> ForeignSegmenter:
    """Open a foreign segmenter for the first time and try it.

    Parameters
    ----------
    source : str
        A TorchScript file, an exported program ``*.pt2``, or an entry ``package.module:factory``. Its code is run.
    multiple : int
        What height and width of its input must be multiples of.

    Returns
    -------
    ForeignSegmenter
        On the CPU, with :attr:`ForeignSegmenter.differentiable` found out.

    Raises
    ------
    CheckpointError
        If it cannot be read, has fixed shapes, or is no segmenter.
    """
    if is_entry(source):
        segmenter = ForeignSegmenter(build_entry(source), ENTRY, source, multiple)
    else:
        architecture = "exported_program" if source.endswith(".pt2") else "torchscript"
        try:
            content = Path(source).read_bytes()
        except OSError as error:
            raise CheckpointError(
                "segmenter must be a model directory, a TorchScript or .pt2 file, or package.module:factory, "
                f"got {error.strerror} ({source}). Check the path."
            ) from error
        segmenter = ForeignSegmenter(
            load_network(architecture, content, source), architecture, source, multiple
        )
    segmenter.differentiable = try_segmenter(segmenter, source)
    return segmenter


def try_segmenter(segmenter: nn.Module, where: str) -> bool:
    """Try a network on noise: it must segment images of any size and number, the same way each time.

    Parameters
    ----------
    segmenter : Module
        Any network in evaluation mode, on the CPU.
    where : str
        What to call it in errors.

    Returns
    -------
    bool
        Whether a gradient of its scores reaches the images.

    Raises
    ------
    CheckpointError
        If it does not keep the promises of a Segmenter.
    """
    generator = torch.Generator().manual_seed(0)
    for shape in ((1, 1, 128, 128), (2, 1, 131, 166)):
        images = torch.rand(shape, generator=generator)
        with torch.no_grad():
            scores, again = (_scores(segmenter, images, where) for _ in range(2))
        if not torch.equal(scores, again):
            raise CheckpointError(
                f"segmenter must give the same scores for the same image, got a difference of "
                f"{float((scores - again).abs().max()):.3g} ({where}). Put it into evaluation mode before saving it."
            )
        totals = scores.sum(dim=1)
        if scores.shape[1] < 2:
            raise CheckpointError(
                f"segmenter must give scores of at least 2 classes, got {scores.shape[1]} ({where}). "
                "Point at a segmenter."
            )
        unit = bool(((scores >= 0) & (scores <= 1)).all())
        if unit and (torch.allclose(totals, torch.ones_like(totals), atol=1e-3) or not scores[:, 0].any()):
            raise CheckpointError(
                f"segmenter must give scores before sigmoid or softmax, got values from {float(scores.min()):.3g} to "
                f"{float(scores.max()):.3g} that look like probabilities ({where}). Return the logits."
            )
    return _lets_gradients_through(segmenter)


def _scores(segmenter: nn.Module, images: torch.Tensor, where: str) -> torch.Tensor:
    """Scores that are checked, of a network that may be one of our own."""
    try:
        return _checked_scores(segmenter(images), images, where)
    except RuntimeError as error:
        raise CheckpointError(
            f"segmenter must take images of shape {tuple(images.shape)}, got {last_line(error)} ({where}). "
            "Point at a segmenter of one-channel images."
        ) from error


def _lets_gradients_through(segmenter: nn.Module) -> bool:
    """Whether a gradient that is finite and not zero arrives at the images."""
    images = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(0)).requires_grad_()
    try:
        with torch.enable_grad():
            scores = segmenter(images)
            if not scores.requires_grad:
                return False
            (gradient,) = torch.autograd.grad(scores.square().mean(), images, allow_unused=True)
    except (CheckpointError, RuntimeError):  # numpy in the middle, an operation without a derivative
        return False
    return gradient is not None and bool(gradient.isfinite().all()) and bool(gradient.any())


def _checked_scores(scores: Any, images: torch.Tensor, where: str) -> torch.Tensor:
    """Check what a network returned against the images it was given."""
    expected = (images.shape[0], "K", *images.shape[-2:])
    if not isinstance(scores, torch.Tensor):
        raise CheckpointError(
            f"segmenter must return one tensor, got {type(scores).__name__} ({where}). "
            "Wrap it so that it returns the class scores alone."
        )
    fits = scores.ndim == 4 and scores.shape[1] > 0
    if not fits or (scores.shape[0], *scores.shape[2:]) != (images.shape[0], *images.shape[-2:]):
        raise CheckpointError(
            f"segmenter must return scores of shape {expected}, got {tuple(scores.shape)} ({where}). "
            "Pass --multiple if sides must be multiples of a number, or resize the scores inside it."
        )
    if not scores.is_floating_point():
        raise CheckpointError(
            f"segmenter must return floating-point scores, got {scores.dtype} ({where}). Return the logits, not labels."
        )
    if not bool(scores.isfinite().all()):
        raise CheckpointError(
            f"segmenter must return finite scores, got {int((~scores.isfinite()).sum())} NaN or infinite ones ({where}). "
            "Check what range of values it expects; images are given in [0, 1]."
        )
    return scores.float()
