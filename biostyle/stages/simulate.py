"""Stage: a seed → two simulated microscopes in the challenge's layout."""

from __future__ import annotations

from pathlib import Path

from biostyle.artifacts import BuildOptions, build
from biostyle.data.sources.simulated import simulate_pair


def simulate(out: Path, *, seed: int, n_frames: int, size_px: int, options: BuildOptions) -> Path:
    """Simulate the pair of domains the demo runs on.

    Parameters
    ----------
    out : Path
        Directory to make: challenge folders ``SIM-A`` and ``SIM-B`` with exact masks.
    seed : int
        Source of every random choice.
    n_frames : int
        Frames a domain.
    size_px : int
        Side of the square frames.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """

    def work(partial: Path) -> None:
        simulate_pair(partial, seed, n_frames, (size_px, size_px))

    settings = {"seed": seed, "n_frames": n_frames, "size_px": size_px}
    build(out, "simulate", settings, {}, work, options)
    return out
