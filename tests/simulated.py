"""The canonical tiny cases of the whole test suite: simulated, deterministic, laid out with the real names."""

from __future__ import annotations

from pathlib import Path

from biostyle.data.prepare import DomainSettings, prepare_domain
from biostyle.data.prepared import PreparedDomain, load_prepared
from biostyle.data.sources.simulated import simulate_pair
from biostyle.data.splits import SplitSettings

TINY_FRAMES = 8
TINY_SHAPE = (72, 80)
TINY_SPLIT = SplitSettings(mode="block", test_fraction=0.3, gap_frames=1)


def write_tiny_challenge(root: Path, *, seed: int = 0, sequences: int = 1) -> tuple[Path, Path]:
    """Write ``SIM-A`` (uint8) and ``SIM-B`` (uint16, inverted) below root: 8 frames of 72x80 px, silver masks."""
    return simulate_pair(root, seed, TINY_FRAMES, TINY_SHAPE, sequences)


def prepare_tiny_pair(root: Path, *, seed: int = 0) -> tuple[PreparedDomain, PreparedDomain]:
    """Simulate and prepare both domains below root: 4 training, 1 unused and 3 test frames each."""
    write_tiny_challenge(root / "data", seed=seed)
    domains = []
    for folder, is_a in (("SIM-A", True), ("SIM-B", False)):
        settings = DomainSettings(folder=folder, title=folder)
        prepare_domain(root / "data", settings, TINY_SPLIT, root / folder, require_train_masks=is_a)
        domains.append(load_prepared(root / folder))
    return domains[0], domains[1]


TINY_CONFIG = """
pipeline = "cell-tracking"
seed = 0
device = "cpu"
domain_a = "nikon"
candidates = ["matching", "adabn", "cyclegan", "cyclegan_sa", "retrain", "retrain_rare"]

[domains.nikon]
folder = "SIM-A"
title = "NIKON"

[domains.zeiss]
folder = "SIM-B"
title = "ZEISS"

[domains.artificial]
folder = "SIM-A"
title = "ARTIFICIAL"
derive = { invert = true, blur_sigma_px = 1.0 }

[split]
test_fraction = 0.3
gap_frames = 1

[segmenter]
n_steps = 30
n_filters = 4
depth = 2
crop_size_px = 32
batch_size = 4
learning_rate = 2e-2
log_every = 10
sample_every = 0
checkpoint_every = 10

[matching]
scales = [1.0]
tones = ["linear"]
n_frames = 1

[adabn]
n_frames = 2

[cyclegan]
n_steps = 4
n_filters = 2
n_blocks = 1
decoder = "resize"
discriminator_n_filters = 4
discriminator_n_layers = 2
crop_size_px = 32
log_every = 1
sample_every = 4
checkpoint_every = 2

[cyclegan_sa]
n_steps = 4
n_filters = 2
n_blocks = 1
decoder = "resize"
discriminator_n_filters = 4
discriminator_n_layers = 2
crop_size_px = 32
residual = true
lambda_segmentation = 1.0
least_agreement = 0.0
log_every = 1
sample_every = 4
checkpoint_every = 2

[retrain]
n_steps = 4
n_frames = 2
n_rounds = 2
rendered = true
crop_size_px = 32
log_every = 1
sample_every = 4
checkpoint_every = 2

[score]
block_length = 2
n_resamples = 100

[report]
title = "Tiny"
n_panels = 1
"""


def read_tree(root: Path) -> dict[str, bytes]:
    """Every file below root by relative path, but for locks."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def stat_tree(root: Path) -> dict[str, int]:
    """When each file and directory below root was last written, but for locks."""
    paths = (path for path in sorted(root.rglob("*")) if path.suffix != ".lock")
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in paths if path.is_file()}
