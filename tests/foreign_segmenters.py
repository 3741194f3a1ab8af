"""Segmenters as other people make them, good and bad; each can be named as ``tests.foreign_segmenters:name``."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

ENTRY = "tests.foreign_segmenters:Threshold"


class Smooth(nn.Module):
    """A logit of foreground, high where the neighbourhood is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate", bias=False)
        nn.init.constant_(self.mean.weight, 1 / 9)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 20 * (self.mean(images) - 0.5)


class Halving(nn.Module):
    """Two classes, from a network that halves the resolution and needs even sides."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 2, 2, stride=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 10 * self.up(torch.relu(self.down(images)))


class Threshold(nn.Module):
    """Classical segmentation with NumPy: gradients end here."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = images.numpy() > 0.5
        return torch.from_numpy(bright * 12.0 - 6.0)


class Probabilities(Smooth):
    """Returns a probability where a logit is wanted."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).sigmoid()


class Labels(Smooth):
    """Returns class indices."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (super().forward(images) > 0).long()


class Cropping(Smooth):
    """Returns scores without a border."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images)[..., 2:-2, 2:-2]


class Flat(Smooth):
    """Returns scores without a class axis."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images)[:, 0]


class Undefined(Smooth):
    """Returns NaN."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) * torch.nan


class Several(Smooth):
    """Returns a dictionary."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        return {"out": super().forward(images)}


class Moody(Smooth):
    """Returns something else each time."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) + torch.rand(1)


class Failing(Smooth):
    """Raises."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise KeyError("colour")


class WithState(Smooth):
    """Keeps something in its state that is no tensor."""

    def get_extra_state(self) -> str:
        return "text"

    def set_extra_state(self, state: str) -> None:
        pass


def give_a_number() -> int:
    """No network."""
    return 3


def write_torchscript(path: Path, network: nn.Module | None = None) -> Path:
    """Script a network and save it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script((network or Smooth()).eval()), str(path))
    return path


def write_exported(path: Path, network: nn.Module | None = None, *, fixed: bool = False) -> Path:
    """Export a network for any number and size of images, or for one, and save it."""
    auto = torch.export.Dim.AUTO
    shapes = None if fixed else ({0: auto, 2: auto, 3: auto},)
    program = torch.export.export(
        (network or Smooth()).eval(), (torch.rand(2, 1, 64, 96),), dynamic_shapes=shapes
    )
    torch.export.save(program, path)
    return path
