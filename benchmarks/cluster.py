"""Time a folder on two Dask workers against one, each a process with one thread; both clusters are up and warm.

python benchmarks/cluster.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import click
import numpy as np
import tifffile
from distributed import LocalCluster
from measuring import interleaved, row, save
from models import write_models

from biostyle.io.inputs import InputFile, find_inputs
from biostyle.progress import SilentProgress
from biostyle.stages.files_on_dask import process_files_on_dask
from biostyle.stages.process_files import Task


def contents(folder: Path) -> dict[str, bytes]:
    """Read the results."""
    return {path.name: path.read_bytes() for path in folder.glob("*.tif")}


@click.command()
@click.option("--quick", is_flag=True, help="Tiny sizes, to see that it runs.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Where to write the figures.")
def main(quick: bool, path: Path | None) -> None:
    """Compare two workers with one."""
    n_files, edge, rounds = (4, 48, 1) if quick else (48, 512, 3)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as one,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as two,
    ):
        root, number = Path(folder), count()
        model, _ = write_models(root, quick)
        (root / "in").mkdir()
        for name in range(n_files):
            frame = np.random.default_rng(name).integers(0, 255, (edge, edge), dtype=np.uint8)
            tifffile.imwrite(root / "in" / f"{name}.tif", frame)
        files = find_inputs([root / "in"])

        def process(cluster: LocalCluster, some: list[InputFile]) -> Path:
            out, task = root / f"out{next(number)}", Task("segment")
            results = process_files_on_dask(
                cluster.scheduler_address, model, "cpu", some, out, task, workers=1, progress=SilentProgress()
            )
            assert all(result.status == "written" for result in results), results
            return out

        def on(cluster: LocalCluster) -> Callable[[], Path]:
            return lambda: process(cluster, files)

        if contents(process(one, files)) != contents(process(two, files)):  # and the models are loaded
            raise click.ClickException("one worker and two must give the same bytes.")
        taken = interleaved({"one": on(one), "two": on(two)}, rounds)
    work = f"{n_files} files of {edge}² on 2 Dask workers"
    save("cluster", [row(work, "1 worker", 1.7, taken["two"], taken["one"], "none")], quick, path)


if __name__ == "__main__":
    main()
