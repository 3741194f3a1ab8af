"""A Segmenter whose answer can be read off the image."""

from __future__ import annotations

import torch
from torch import nn


class GrayIsProbability(nn.Module):
    """A Segmenter whose probability of foreground is the gray value itself."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        probs = images.clamp(1e-6, 1 - 1e-6)
        return torch.cat([torch.zeros_like(probs), torch.logit(probs)], dim=1)
