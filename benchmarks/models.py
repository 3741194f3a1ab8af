"""The adapted models that are timed: a small generator and a U-Net with random weights, on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from biostyle.adapted_model import save_adapted
from biostyle.checkpoints import save_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.matching.chain import MatchingChain
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.unet import UNet


def write_models(root: Path, quick: bool, *, with_chain: bool = False) -> tuple[Path, Path]:
    """Write the whole model, and S_A alone, below root."""
    torch.manual_seed(0)
    segmenter = UNet(n_filters=2, depth=1) if quick else UNet(n_filters=16, depth=4)
    generator = (
        ResnetGenerator(n_filters=2, n_blocks=1) if quick else ResnetGenerator(n_filters=16, n_blocks=4)
    )
    parts: dict[str, nn.Module] = {"segmenter": segmenter, "candidate/gen_ba": generator}
    if with_chain:
        steps = [
            {"kind": "background", "sigma_px": 25},
            {"kind": "polarity"},
            {"kind": "tone", "name": "square_root"},
        ]
        parts["candidate/chain"] = MatchingChain(steps)
    for name, network in parts.items():
        preprocessing = Preprocessing().model_dump(mode="json")
        save_model(
            root / "parts" / name, network.eval(), preprocessing=preprocessing, training_data={"frames": []}
        )
    save_adapted(root / "parts" / "candidate", root / "parts" / "segmenter", root / "whole", {})
    save_adapted(None, root / "parts" / "segmenter", root / "segmenter", {})
    return root / "whole", root / "segmenter"
