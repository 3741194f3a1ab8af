"""Files on a Dask cluster: the same bytes as here, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from biostyle.application import load
from biostyle.errors import ConfigError
from biostyle.io.inputs import find_inputs
from biostyle.progress import SilentProgress
from biostyle.stages import files_on_dask
from biostyle.stages.files_on_dask import process_files_on_dask, process_remotely
from biostyle.stages.process_files import Task, process_files
from tests.adapted_models import write_adapted
from tests.io.bad_files import tiff
from tests.simulated import read_tree

distributed = pytest.importorskip("distributed")
TASK = Task("segment", labels="components")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirteen frames, one of which is none."""
    (tmp_path / "in").mkdir()
    for number in range(12):
        frame = np.random.default_rng(number).integers(0, 255, (300, 300), dtype=np.uint8)
        (tmp_path / "in" / f"{number}.tif").write_bytes(tiff(frame))
    (tmp_path / "in" / "bad.tif").write_bytes(b"II*\0")
    return tmp_path / "in"


@pytest.fixture
def cluster() -> Iterator[object]:
    """Two worker processes."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # distributed warns of the connections to the worker that was killed
def test_a_killed_worker_loses_nothing(cluster: object, folder: Path, tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    files = find_inputs([folder])
    process_files(load(directory, "cpu"), files, tmp_path / "here", TASK)

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "there").glob("*.tif")) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(cluster.workers[0].process.pid, signal.SIGKILL)  # type: ignore[attr-defined]

    killer = threading.Thread(target=kill)
    killer.start()
    results = process_files_on_dask(
        cluster.scheduler_address,  # type: ignore[attr-defined]
        directory,
        "cpu",
        files,
        tmp_path / "there",
        TASK,
        workers=1,
        progress=SilentProgress(),
    )
    killer.join()
    assert [Path(result.source).name for result in results] == [file.path.name for file in files]
    assert [result.source for result in results if result.status == "failed"] == [str(folder / "bad.tif")]
    there = read_tree(tmp_path / "there")
    complete = {name: content for name, content in there.items() if not name.endswith(".partial")}
    assert complete == read_tree(tmp_path / "here")


def test_a_worker_keeps_its_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, loads = write_adapted(tmp_path / "model"), []
    monkeypatch.setattr(files_on_dask, "load", lambda *given: (loads.append(given), load(*given))[1])
    for file in find_inputs([folder])[:3]:
        result = process_remotely(file, model=directory, device="cpu", out=tmp_path / "out", task=TASK)
        assert result.status == "written"
    assert loads == [(directory, "cpu")]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere"])
def test_a_scheduler_that_does_not_answer(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_on_dask, "_SECONDS", 1)
    with pytest.raises(ConfigError, match=f"dask must be 'local' .*got {address}"):
        process_files_on_dask(
            address, tmp_path, "cpu", [], tmp_path, TASK, workers=1, progress=SilentProgress()
        )


def test_without_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"must be installed.*biostyle\[dask\]"):
        process_files_on_dask(
            "local", tmp_path, "cpu", [], tmp_path, TASK, workers=1, progress=SilentProgress()
        )
