"""Stage: as :mod:`biostyle.stages.process_files`, with the files shared out to the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from biostyle.application import Model, load
from biostyle.errors import ConfigError
from biostyle.io.inputs import InputFile
from biostyle.progress import Progress
from biostyle.stages.process_files import FileResult, Task, process_file

if TYPE_CHECKING:
    from distributed import Client

_SECONDS = 30


def process_files_on_dask(
    scheduler: str,
    model: Path,
    device: str,
    files: Sequence[InputFile],
    out: Path,
    task: Task,
    *,
    workers: int,
    progress: Progress,
) -> list[FileResult]:
    """Stylize or segment files, one task a file; the model is loaded once a worker.

    Parameters
    ----------
    scheduler : str
        Address of a scheduler, such as "tcp://host:8786", or "local" for processes on this machine.
    model : Path
        Adapted model directory, under the same path for every worker, like the files and `out`.
    device : str
        Where workers compute.
    files : sequence of InputFile
        From :func:`biostyle.io.inputs.find_inputs`.
    out : Path
        Folder of the results.
    task : Task
        What to do.
    workers : int
        Number of processes of a "local" cluster.
    progress : Progress
        Whom to tell.

    Returns
    -------
    list of FileResult
        One a file, in their order. A file whose worker is killed goes to another one, three times.

    Raises
    ------
    ConfigError
        If dask is not installed, or the scheduler does not answer.
    """
    model = model.absolute()
    with _connect(scheduler, workers) as client:
        from distributed import KilledWorker, as_completed

        futures = client.map(
            process_remotely,
            files,
            model=model,
            device=device,
            out=out.absolute(),
            task=task,
            pure=False,
        )
        for number, future in enumerate(as_completed(futures)):
            if future.status == "finished" and (error := future.result().error):
                progress.note(error)
            progress.update(number + 1, len(files), {})
        results = []
        for file, future in zip(files, futures, strict=True):
            lost = future.exception()
            if isinstance(lost, KilledWorker):
                text = (
                    f"KilledWorker: worker must survive {file.path}, got none that did. Give it more memory."
                )
                results.append(FileResult(str(file.path), str(out / file.output), "failed", text))
            else:
                results.append(future.result())
        return results


def process_remotely(file: InputFile, *, model: Path, device: str, out: Path, task: Task) -> FileResult:
    """Process one file on a worker.

    Parameters
    ----------
    file : InputFile
        The file.
    model : Path
        Adapted model directory.
    device : str
        Where to compute.
    out : Path
        Folder of the results.
    task : Task
        What to do.

    Returns
    -------
    FileResult
        See :func:`biostyle.stages.process_files.process_file`.
    """
    return process_file(_model(model, device), file, out, task)


@lru_cache(maxsize=1)
def _model(directory: Path, device: str) -> Model:
    """Load the model of this worker."""
    return load(directory, device)


@contextmanager
def _connect(scheduler: str, workers: int) -> Iterator[Client]:
    """Join a cluster, or start one on this machine."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ConfigError(f"dask must be installed, got {error}. Install biostyle[dask].") from error
    if scheduler == "local":
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=_SECONDS)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"dask must be 'local' or the address of a scheduler, got {scheduler}: {error}. Check the address."
        ) from error
    with client:
        yield client
