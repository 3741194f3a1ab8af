"""Measure the peak memory of ``stylize`` and ``segment`` on one large uint8 frame, as a user runs them.

python benchmarks/large_frame.py --edge 16384
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import tifffile
from models import write_models

LARGEST_GIB = 6.0
_CALL = """
import sys
from biostyle.cli import main
try:
    main()
finally:
    lines = open("/proc/self/status").read().splitlines()
    print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20, file=sys.stdout)
"""


def write_frame(path: Path, edge: int) -> None:
    """Write noise in strips, so that this process needs no memory for it."""
    rng, rows = np.random.default_rng(0), 64
    strips = (rng.integers(0, 200, (rows, edge), dtype=np.uint8) for _ in range(0, edge, rows))
    tifffile.imwrite(path, strips, shape=(edge, edge), dtype=np.uint8, rowsperstrip=rows)


@click.command()
@click.option(
    "--edge", type=int, default=8192, show_default=True, help="Edge of the frame, a multiple of 64."
)
@click.option("--verb", "verbs", multiple=True, default=("stylize", "segment"), help="What to run.")
@click.option("--quick", is_flag=True, help="Tiny networks, to see that it runs.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Where to write the figures.")
def main(edge: int, verbs: tuple[str, ...], quick: bool, path: Path | None) -> None:
    """Print the peak in GiB for a chain, a small generator and a U-Net."""
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model, _ = write_models(root, quick, with_chain=True)
        write_frame(root / "frame.tif", edge)
        for verb in verbs:
            command = [verb, root / "frame.tif", "-o", root / verb, "--model", model, "--device", "cpu"]
            done = subprocess.run(
                [sys.executable, "-c", _CALL, *map(str, command)], check=True, capture_output=True, text=True
            )
            peaks[verb] = float(done.stdout.split()[-1])
            click.echo(f"{verb} of {edge} x {edge} px: {peaks[verb]:.2f} GiB")
    if path:
        path.write_text(json.dumps({"edge": edge, "peak_rss_gib": peaks}, indent=1) + "\n", encoding="utf-8")
    if max(peaks.values()) > LARGEST_GIB:
        raise click.ClickException(
            f"peak must be at most {LARGEST_GIB:g} GiB, got {max(peaks.values()):.2f}."
        )


if __name__ == "__main__":
    main()
