"""A tiny colour run: simulated photographs of both domains, and a segmenter of A."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from biostyle.artifacts import BuildOptions
from biostyle.config import AdaptConfig
from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.prepare_photographs import PhotographDomainSettings, PhotographFolder
from biostyle.data.preprocessing import Preprocessing
from biostyle.data.sources.simulated_skin import simulate_skin_pair
from biostyle.matching.grid import GridSettings
from biostyle.stages.prepare_photographs import prepare_photographs
from biostyle.stages.train_segmenter import train_segmenter
from biostyle.training.augmentation import AugmentationSettings
from biostyle.training.cyclegan import InTheLoopSettings, StylizerSettings
from biostyle.training.retraining import RetrainSettings
from biostyle.training.segmenter import SegmenterSettings

SHAPE = (48, 64)
_BRIEF = {"log_every": 1, "sample_every": 1, "precision": "float32", "crop_size_px": 32, "batch_size": 2}
_SMALL = {"n_filters": 2, "n_blocks": 1, "discriminator_n_filters": 2, "discriminator_n_layers": 2}
CONFIG = AdaptConfig(
    device="cpu",
    preprocessing=Preprocessing(scaling="dtype", working_side_px=48),
    segmenter=SegmenterSettings(
        n_steps=20,
        n_filters=4,
        depth=2,
        augmentation=AugmentationSettings(channel_gain=0.1, saturation=0.2, hue_deg=5, illumination=0.2),
        **_BRIEF,
    ),
    matching=GridSettings(
        scales=(1.0, 1.4),
        tones=("linear", "shades_of_grey", "reinhard", "lab_histogram"),
        polarities=("upright",),
        n_frames=2,
    ),
    cyclegan=StylizerSettings(n_steps=2, **_SMALL, **_BRIEF),
    cyclegan_sa=InTheLoopSettings(n_steps=2, least_agreement=0.0, **_SMALL, **_BRIEF),
    retrain=RetrainSettings(n_steps=2, n_frames=3, rendered=True, **_BRIEF),
)


@dataclass(frozen=True)
class PhotographRun:
    """Finished directories; only to be read."""

    a: Path
    b: Path
    segmenter: Path


def run_on_photographs(root: Path) -> PhotographRun:
    """Simulate and prepare both domains, and train a little."""
    simulate_skin_pair(root / "data", seed=0, n_images=16, shape=SHAPE)
    split = GroupSplitSettings(test_fraction=0.25, validation_fraction=0.2, seed=5)
    prepared = {
        name: prepare_photographs(
            root / "data",
            root / name,
            PhotographDomainSettings(folders=(PhotographFolder(reader=reader, folder=folder),), title=name),
            split,
            annotated=name == "a",
            options=BuildOptions(),
        )
        for name, reader, folder in (("a", "isic", "SIM-ISIC"), ("b", "waterloo", "SIM-WATERLOO"))
    }
    segmenter = train_segmenter(
        prepared["a"],
        root / "segmenter",
        CONFIG.segmenter,
        CONFIG.preprocessing,
        seed=0,
        device="cpu",
        options=BuildOptions(),
    )
    return PhotographRun(**prepared, segmenter=segmenter)
