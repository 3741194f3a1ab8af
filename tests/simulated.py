"""The canonical tiny cases of the whole test suite: simulated, deterministic, laid out with the real names."""

from __future__ import annotations

from pathlib import Path

from biostyle.data.prepare import DomainSettings, PreparedDomain, load_prepared, prepare_domain
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
