"""The demo: the cell-tracking pipeline on two simulated microscopes."""

from __future__ import annotations

from pathlib import Path

from biostyle.artifacts import BuildOptions
from biostyle.config import CellTrackingConfig
from biostyle.pipelines import cell_tracking
from biostyle.stages.simulate import simulate


def run(config: CellTrackingConfig, out: Path, *, command: str, options: BuildOptions) -> Path:
    """Simulate and run.

    Parameters
    ----------
    config : CellTrackingConfig
        Configuration whose domains are ``SIM-A`` and ``SIM-B``.
    out : Path
        Directory to make: ``data/`` and ``run/``.
    command : str
        Command line to print in the report.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        The report's directory.
    """
    data_root = simulate(out / "data", seed=config.seed, n_frames=24, size_px=192, options=options)
    return cell_tracking.run(config, data_root, out / "run", command=command, options=options)
