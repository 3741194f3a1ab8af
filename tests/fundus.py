"""A tiny fundus run: simulated retinas, good and degraded, and the networks that judge them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biostyle.artifacts import BuildOptions
from biostyle.data.degradation import DEFECTS
from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.prepare_fundus import FundusSettings
from biostyle.data.preprocessing import Preprocessing
from biostyle.data.sources.simulated_fundus import simulate_fundus
from biostyle.stages.prepare_fundus import degrade_fundus, prepare_fundus
from biostyle.stages.train_classifier import train_grader, train_quality_classifier
from biostyle.stages.train_segmenter import train_segmenter
from biostyle.stages.train_stylizer import train_stylizer
from biostyle.training.classifier import ClassifierSettings
from biostyle.training.cyclegan import StylizerSettings
from biostyle.training.restoration import RestorationSettings
from biostyle.training.segmenter import SegmenterSettings

SPLIT = GroupSplitSettings(test_fraction=0.3, validation_fraction=0.2, seed=27)
SETTINGS = FundusSettings.model_validate(
    {
        "folders": [{"reader": "idrid", "folder": "idrid"}, {"reader": "drive", "folder": "drive/training"}],
        "size_px": 64,
    }
)
SMALL, WHOLE = Preprocessing(scaling="dtype", working_side_px=48), Preprocessing(scaling="dtype")
_BRIEF: dict[str, Any] = {"log_every": 1, "precision": "float32"}
CLASSIFIER = ClassifierSettings(n_steps=4, batch_size=8, **_BRIEF)
SEGMENTER = SegmenterSettings(n_steps=20, n_filters=4, depth=2, crop_size_px=48, batch_size=2, **_BRIEF)
RESTORER = RestorationSettings(n_steps=2, n_filters=2, depth=2, n_rounds=1, batch_size=2, **_BRIEF)
STYLIZER = StylizerSettings(
    n_steps=2,
    n_filters=2,
    n_blocks=1,
    discriminator_n_filters=2,
    discriminator_n_layers=2,
    crop_size_px=32,
    batch_size=2,
    residual=True,
    lambda_identity=0.5,
    **_BRIEF,
)


@dataclass(frozen=True)
class FundusRun:
    """Finished directories; only to be read."""

    data: Path
    clean: Path
    mixed: Path
    quality: Path
    grader: Path
    segmenter: Path
    stylizer: Path


def run_on_retinas(root: Path) -> FundusRun:
    """Simulate, prepare and degrade retinas, and train everything a little."""
    simulate_fundus(root / "data", seed=0, n_images=10, shape=(80, 100))
    options = BuildOptions()
    clean = prepare_fundus(root / "data", root / "clean", SETTINGS, SPLIT, options=options)
    mixed = degrade_fundus(clean, root / "mixed", DEFECTS, seed=0, options=options)
    common: dict[str, Any] = {"seed": 0, "device": "cpu", "options": options}
    return FundusRun(
        root / "data",
        clean,
        mixed,
        train_quality_classifier(clean, root / "quality", CLASSIFIER, SMALL, **common),
        train_grader(clean, root / "grader", CLASSIFIER, SMALL, **common),
        train_segmenter(clean, root / "segmenter", SEGMENTER, WHOLE, **common),
        train_stylizer(clean, mixed, root / "stylizer", STYLIZER, WHOLE, **common),
    )
