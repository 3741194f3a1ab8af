"""A segmenter that knows its own domain well, and domains on which nothing, or much, is to be gained; all simulated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biostyle.artifacts import BuildOptions
from biostyle.data.prepare import DeriveSettings, DomainSettings
from biostyle.data.preprocessing import Preprocessing
from biostyle.data.sources.simulated import simulate_pair
from biostyle.io.frames import write_frame
from biostyle.stages.prepare import prepare
from biostyle.stages.train_segmenter import train_segmenter
from biostyle.training.segmenter import SegmenterSettings
from biostyle.types import NDArray
from tests.simulated import TINY_FRAMES, TINY_SPLIT

SHAPE = (128, 128)


def _noise(rng: np.random.Generator) -> NDArray:
    """Nothing but noise."""
    return rng.normal(128, 25, SHAPE)


def _empty(rng: np.random.Generator) -> NDArray:
    """The camera's noise on A's background, and no cells."""
    return rng.normal(82, 2.5, SHAPE)


def _fundus(rng: np.random.Generator) -> NDArray:
    """A round field of view with a bright disc from which dark vessels run."""
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    radius, along = np.hypot(x, y), x - 0.4
    frame = 120 - 40 * radius + 80 * np.exp(-(along**2 + y**2) / 0.02)
    for _ in range(8):
        angle, bend = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.3)
        beside = np.abs(along * np.sin(angle) - y * np.cos(angle) + bend * (along**2 + y**2))
        frame -= 35 * np.exp(-((beside / 0.03) ** 2)) * (along * np.cos(angle) + y * np.sin(angle) > 0)
    return frame * np.clip((0.95 - radius) * 20, 0, 1) + rng.normal(5, 2, SHAPE)


NOTHING_TO_GAIN = {"noise": _noise, "empty frames": _empty, "another modality": _fundus}


@dataclass(frozen=True)
class Trained:
    """A segmenter that knows its own domain A well, and domains B on which nothing, or much, is to be gained."""

    root: Path
    prepared_a: Path
    segmenter: Path

    def domain(self, name: str) -> Path:
        """Write and prepare a domain B, unless it is there."""
        out = self.root / "prepared" / name
        if out.is_dir():
            return out
        data = self.root / "data" / name
        derive = DeriveSettings(invert=True, blur_sigma_px=1.0) if name == "inverted A" else None
        if name in ("more of A", "inverted A"):
            simulate_pair(data, 1, TINY_FRAMES, SHAPE)
        else:
            rng = np.random.default_rng(0)
            for number in range(TINY_FRAMES):
                frame = np.clip(np.rint(NOTHING_TO_GAIN[name](rng)), 0, 255).astype(np.uint8)
                (data / "SIM-A" / "01").mkdir(parents=True, exist_ok=True)
                write_frame(data / "SIM-A" / "01" / f"t{number:03d}.tif", frame)
        settings = DomainSettings(folder="SIM-A", title=name, derive=derive)
        return prepare(data, out, settings, TINY_SPLIT, annotated=False, options=BuildOptions())


def train_well(root: Path, *, seed: int = 0) -> Trained:
    """Simulate A below root and train a segmenter on it for a quarter of a minute."""
    simulate_pair(root / "data" / "A", 0, TINY_FRAMES, SHAPE)
    settings, options = DomainSettings(folder="SIM-A", title="A"), BuildOptions()
    prepared = prepare(
        root / "data" / "A", root / "prepared" / "A", settings, TINY_SPLIT, annotated=True, options=options
    )
    training = SegmenterSettings(
        n_steps=400, n_filters=8, depth=3, crop_size_px=64, batch_size=4, learning_rate=4e-3, sample_every=0
    )
    segmenter = train_segmenter(
        prepared, root / "segmenter", training, Preprocessing(), seed=seed, device="cpu", options=options
    )
    return Trained(root, prepared, segmenter)
