"""Adapted model directories with tiny networks, whose masks have foreground and background."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from biostyle.adapted_model import save_adapted
from biostyle.checkpoints import save_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.matching.chain import MatchingChain
from biostyle.matching.intensity import Polarity
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.unet import UNet


def write_adapted(directory: Path, parts: tuple[str, ...] = ("chain", "gen_ba"), *, seed: int = 0) -> Path:
    """Write a model of these parts and a segmenter at ``directory``, and what it is made of beside it."""
    torch.manual_seed(seed)
    networks: dict[str, nn.Module] = {
        "segmenter": UNet(n_filters=2, depth=1).eval(),
        "gen_ba": ResnetGenerator(n_filters=2, n_blocks=1).eval(),
        "chain": MatchingChain([Polarity()]),
    }
    with torch.no_grad():  # about as much foreground as background
        segmenter = networks["segmenter"]
        images = torch.rand(1, 1, 64, 64)
        for name in parts:
            images = networks[name](images)
        logits = segmenter(images)
        segmenter.head.bias[1] -= (logits[:, 1] - logits[:, 0]).median()  # type: ignore[union-attr, operator, index]
    sources = directory.with_name(f"{directory.name}-parts")
    for name in (*parts, "segmenter"):
        save_model(
            sources / ("segmenter" if name == "segmenter" else f"candidate/{name}"),
            networks[name],
            preprocessing=Preprocessing(working_scale=0.5).model_dump(mode="json"),
            training_data={"frames": []},
        )
    save_adapted(
        sources / "candidate" if parts else None, sources / "segmenter", directory, {"chosen": "test"}
    )
    return directory
