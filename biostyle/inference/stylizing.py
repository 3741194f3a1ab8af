"""Any stylizer on frames of any size: generators strip by strip, matching steps on the whole frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from biostyle.inference.settings import InferenceSettings
from biostyle.inference.translation import measure_statistics, translate
from biostyle.models.residual_generator import ResidualGenerator
from biostyle.models.resnet_generator import ResnetGenerator


def stylize(
    stylizer: nn.Module,
    images: torch.Tensor,
    device: torch.device,
    settings: InferenceSettings | None = None,
) -> torch.Tensor:
    """Translate frames of any size.

    Parameters
    ----------
    stylizer : Module
        A Stylizer on ``device`` and in evaluation mode: a generator, matching steps, or a sequence of such. Matching
        steps get the frame as a whole, since percentiles and wide blurs need it.
    images : Tensor of shape (N, C, H, W)
        Images in [0, 1], on any device.
    device : device
        Where to compute.
    settings : InferenceSettings or None
        Statistics, precision and memory. None is the default of each.

    Returns
    -------
    Tensor of shape (N, C', H, W)
        What ``stylizer(images)`` gives, on the device of ``images``.
    """
    with (
        torch.inference_mode()
    ):  # as a decorator it would hold on to a large frame while its successors are computed
        if isinstance(stylizer, nn.Sequential):
            for part in stylizer:
                images = stylize(part, images, device, settings)
            return images
        if isinstance(stylizer, ResnetGenerator):
            return translate(stylizer, images, settings)
        if isinstance(stylizer, ResidualGenerator):
            change = translate(stylizer.generator, images, settings).mul_(2).sub_(1)
            return change.add_(images).clamp_(0, 1)
        return stylizer(images.to(device)).to(images.device)


def stack_statistics(
    stylizer: nn.Module,
    planes: Sequence[torch.Tensor],
    device: torch.device,
    settings: InferenceSettings | None = None,
) -> dict[str, torch.Tensor] | None:
    """Measure the statistics of the generator in a stylizer over many frames together.

    Parameters
    ----------
    stylizer : Module
        A Stylizer on ``device`` and in evaluation mode, with one generator or none.
    planes : sequence of Tensor of shape (1, C, H, W)
        Images in [0, 1]; read one at a time, about four times each.
    device : device
        Where to compute.
    settings : InferenceSettings or None
        Precision and memory.

    Returns
    -------
    dict of str to Tensor, or None
        What :func:`~biostyle.inference.translation.measure_statistics` gives for frames that went through all that
        stands before the generator. None where there is no generator.
    """
    parts = list(stylizer) if isinstance(stylizer, nn.Sequential) else [stylizer]
    for position, part in enumerate(parts):
        generator = part.generator if isinstance(part, ResidualGenerator) else part
        if isinstance(generator, ResnetGenerator):
            before = nn.Sequential(*parts[:position])
            return measure_statistics(generator, _Stylized(before, planes, device), settings)
    return None


class _Stylized(Sequence[torch.Tensor]):
    """Frames that go through a stylizer when they are asked for."""

    def __init__(self, stylizer: nn.Module, planes: Sequence[torch.Tensor], device: torch.device) -> None:
        self._stylizer, self._planes, self._device = stylizer, planes, device

    def __len__(self) -> int:
        return len(self._planes)

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]
        return stylize(self._stylizer, self._planes[index], self._device)
