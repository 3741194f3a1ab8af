"""Adapted model directories with tiny networks, whose masks have foreground and background."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import torch
from torch import nn

from biostyle.adapted_model import PARTS, save_adapted
from biostyle.checkpoints import save_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.matching.chain import MatchingChain
from biostyle.matching.intensity import Polarity
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.single_object import SingleObject
from biostyle.models.unet import UNet


def write_adapted(
    directory: Path, parts: tuple[str, ...] = ("chain", "gen_ba"), *, seed: int = 0, n_channels: int = 1
) -> Path:
    """Write a model of these parts and a segmenter at ``directory``, and what it is made of beside it."""
    torch.manual_seed(seed)
    networks: dict[str, nn.Module] = {
        "segmenter": UNet(n_channels, n_filters=2, depth=1).eval(),
        "gen_ba": ResnetGenerator(n_channels, n_channels, n_filters=2, n_blocks=1).eval(),
        "chain": MatchingChain([Polarity()]),
        "single_object": SingleObject.of(
            [torch.ones(1, 1, dtype=torch.uint8)]
        ),  # the largest, wherever it is
    }
    with torch.no_grad():  # about as much foreground as background
        segmenter = networks["segmenter"]
        images = torch.rand(1, n_channels, 64, 64)
        for name in ("chain", "gen_ba"):
            images = networks[name](images) if name in parts else images
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


def spoil(directory: Path, how: str) -> None:
    """Make a model directory one that must not be used."""
    weights, card = directory / "gen_ba" / "model.safetensors", directory / "segmenter" / "model.json"
    if how == "a pickle":
        weights.write_bytes(pickle.dumps(_Bomb(directory / "exploded")))
    elif how == "a pickle with its hash":
        content = pickle.dumps(_Bomb(directory / "exploded"))
        weights.write_bytes(content)
        described = directory / "gen_ba" / "model.json"
        text = json.loads(described.read_text()) | {"weights_sha256": hashlib.sha256(content).hexdigest()}
        described.write_text(json.dumps(text))
        list_anew(directory)
    elif how == "cut short":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif how == "other weights":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif how == "no weights":
        weights.unlink()
    elif how == "no card":
        card.unlink()
    elif how == "card of noise":
        card.write_text("{")
    elif how == "other card":
        card.write_text(card.read_text().replace("0.5", "0.6"))
    elif how == "no chain":
        (directory / "chain").rename(directory / "elsewhere")
    elif how == "another part":
        (directory / "chain" / "more").write_text("")
    elif how == "no list":
        (directory / "adapted.json").write_text("{}")
    elif how == "not even a list":
        (directory / "adapted.json").unlink()
    elif how == "no segmenter":
        card.parent.rename(directory / "elsewhere")
    elif how == "nothing":
        directory.rename(directory.with_name("moved"))


def list_anew(directory: Path) -> None:
    """Put the hashes of the parts as they are into ``adapted.json``."""
    card = json.loads((directory / "adapted.json").read_text())
    parts = [path for part in PARTS for path in (directory / part).rglob("*")]
    hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in parts if path.is_file()}
    card["files"] = {path.relative_to(directory).as_posix(): digest for path, digest in hashes.items()}
    (directory / "adapted.json").write_text(json.dumps(card))


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.path, "boom")
