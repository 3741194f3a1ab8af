"""Finished directories: made once, never half, and known by the hash of everything in them.

A stage writes to ``OUT.partial/``; then every file is hashed into ``artifact.json``, everything is flushed to disk and the
directory is renamed. So *the directory exists ⇔ it is complete*, and a request that was answered before is not answered again.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from biostyle.errors import ArtifactMismatchError, ChecksumError, DataError, InterruptedRunError, OutputError
from biostyle.io.atomic import flush
from biostyle.io.integrity import sha256
from biostyle.progress import Progress, SilentProgress

RECORD, REQUEST = "artifact.json", "request.json"
SETTLED_NS = 2_000_000_000
PACKAGES = ("biostyle", "torch", "numpy", "scikit-image", "tifffile")


@dataclass
class BuildOptions:
    """How stages deal with what is already there.

    Attributes
    ----------
    resume : bool
        Continue an interrupted training instead of refusing.
    replace : bool
        Make a directory again when its request has changed; the old one goes when the new one is complete.
    dry_run : bool
        Report what would be made and make nothing.
    progress : Progress
        Whom to tell.
    pending : set of Path
        In a dry run, what would be made so far.
    """

    resume: bool = False
    replace: bool = False
    dry_run: bool = False
    progress: Progress = field(default_factory=SilentProgress)
    pending: set[Path] = field(default_factory=set, init=False, repr=False)


def build(
    out: Path,
    stage: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    work: Callable[[Path], None],
    options: BuildOptions,
) -> None:
    """Make one finished directory, unless it is there already.

    Parameters
    ----------
    out : Path
        The directory.
    stage : str
        Name of the stage, part of the request.
    settings : mapping
        Everything else the result depends on; must fit into JSON.
    inputs : mapping of str to Path
        Artifacts it is made from (verified here), or folders and files of raw data (hashed here).
    work : callable
        Called with the partial directory, which it fills.
    options : BuildOptions
        How to deal with what is there.

    Raises
    ------
    ArtifactMismatchError
        If ``out`` holds another result and ``options.replace`` is not set, or something that is no artifact.
    InterruptedRunError
        If an interrupted training is there and ``options.resume`` is not set.
    ChecksumError
        If an input, or the finished directory itself, was altered.
    DataError
        If an input cannot be read.
    OutputError
        If ``out`` cannot be written.
    """
    partial = _partial(out)
    try:
        if options.dry_run:
            _plan(out, stage, settings, inputs, options)
            return
        out.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(out.with_name(f".{out.name}.lock")):
            request = _request(stage, settings, inputs)
            if out.exists():
                differing = _differences(out, request)
                if not differing:
                    options.progress.stage(str(out), "up to date")
                    return
                if not options.replace:
                    raise ArtifactMismatchError(
                        f"{out} was made with other settings; they differ in {differing}. "
                        "Choose another --out or delete it."
                    )
            status = _open_partial(partial, request, options)
            options.progress.stage(str(out), status)
            work(partial)
            _finish(partial, out, request)
    except OSError as error:
        raise _unreadable(inputs, error) or _unwritable(out, error) from error


def claim_run_directory(out: Path, pipeline: str, config: str, options: BuildOptions) -> None:
    """Make a pipeline's directory and leave the resolved configuration in it.

    Parameters
    ----------
    out : Path
        The run's directory.
    pipeline : str
        Name of the pipeline.
    config : str
        Resolved configuration, as TOML.
    options : BuildOptions
        In a dry run nothing is written.

    Raises
    ------
    ArtifactMismatchError
        If ``out`` holds something else than a run of this pipeline.
    OutputError
        If it cannot be written.
    """
    marker = out / "run.json"
    try:
        occupied = out.exists() and (not out.is_dir() or any(out.iterdir()))
        if occupied:
            found = json.loads(marker.read_text())["pipeline"] if marker.is_file() else "no biostyle run"
            if found != pipeline:
                raise ArtifactMismatchError(
                    f"output must be new or hold a {pipeline} run, got {found} ({out}). Choose another --out."
                )
        if not options.dry_run:
            out.mkdir(parents=True, exist_ok=True)
            if not occupied:
                write_json(marker, {"schema": 1, "pipeline": pipeline})
            resolved = out / "config.toml"
            if not resolved.is_file() or resolved.read_text(encoding="utf-8") != config:
                resolved.write_text(config, encoding="utf-8")
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactMismatchError(
            f"run.json must name a pipeline, got {error} ({marker}). Choose another --out."
        ) from error
    except OSError as error:
        raise _unwritable(out, error) from error


def read_record(directory: Path) -> dict[str, Any]:
    """Verify a finished directory and return its record.

    Parameters
    ----------
    directory : Path
        What :func:`build` made.

    Returns
    -------
    dict
        Keys ``stage``, ``request``, ``files`` (SHA-256 by relative path), ``made_by`` and ``fingerprint``.

    Raises
    ------
    DataError
        If it is not a finished directory.
    ChecksumError
        If a file is missing, new or altered.
    """
    try:
        record = json.loads((directory / RECORD).read_text())
        expected = record["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"input must be a finished directory with {RECORD}, got {error} ({directory}). "
            "Run the stage that makes it."
        ) from error
    actual = {name: digest for name, digest in _hash_files(directory).items() if name != RECORD}
    if altered := sorted(name for name in {*actual, *expected} if actual.get(name) != expected.get(name)):
        raise ChecksumError(
            f"{directory / altered[0]} must be as it was made, got a change in {len(altered)} file(s) "
            f"since {RECORD} was written. Delete {directory} and run the stage again."
        )
    return record


def fingerprint(path: Path) -> str:
    """Return a digest of a finished directory, a folder or a file.

    Parameters
    ----------
    path : Path
        An artifact (verified first), any other folder, or a file.

    Returns
    -------
    str
        SHA-256, hexadecimal.

    Raises
    ------
    DataError
        If there is nothing there.
    """
    if (path / RECORD).is_file():
        return read_record(path)["fingerprint"]
    if path.is_file():
        return _hash_once(path)
    if not path.is_dir():
        raise DataError(f"input must exist, got nothing there ({path}). Check the path.")
    return _digest(_hash_files(path))


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on.

    Returns
    -------
    dict of str to str
        Version by name.
    """
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def write_json(path: Path, value: Any) -> None:
    """Write JSON that is the same for the same value.

    Parameters
    ----------
    path : Path
        The file.
    value : object
        Anything JSON can hold; NaN is refused.
    """
    path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def _request(stage: str, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Everything a result depends on, as it looks after a round trip through JSON."""
    digests = {name: fingerprint(path) for name, path in inputs.items()}
    return json.loads(json.dumps({"stage": stage, "settings": settings, "inputs": digests}))


def _differences(out: Path, request: dict[str, Any]) -> list[str]:
    """Dotted names of what differs between a request and the one a directory answers."""
    if not (out / RECORD).is_file():
        raise ArtifactMismatchError(
            f"output must be new or a directory made by biostyle, got something else ({out}). "
            "Choose another --out or move it away."
        )
    return _differing(read_record(out)["request"], request)


def _differing(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Compare two nested dicts."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            name
            for key in sorted({*old, *new})
            for name in _differing(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else key)
        ]
    return [] if old == new else [prefix.removeprefix("settings.")]


def _open_partial(partial: Path, request: dict[str, Any], options: BuildOptions) -> str:
    """Decide between starting anew and going on, and leave a partial directory with its request in it."""
    differing = _interrupted(partial, request)
    if differing == []:
        if options.resume:
            return "resuming"
        raise InterruptedRunError(
            f"{partial} holds an interrupted training of this very run. "
            "Add --resume to go on with it, or delete it to start over."
        )
    if differing and not options.replace:
        raise ArtifactMismatchError(
            f"{partial} holds an interrupted training with other settings; they differ in {differing}. "
            "Choose another --out or delete it."
        )
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir()
    write_json(partial / REQUEST, request)
    others = ", ".join(differing or [])
    return f"making; discarded an interrupted training with other {others}" if others else "making"


def _partial(out: Path) -> Path:
    """Where a directory is while it is being made."""
    return out.with_name(out.name + ".partial")


def _interrupted(partial: Path, request: dict[str, Any]) -> list[str] | None:
    """In what an interrupted training differs from a request; None without one."""
    if not (partial / "resume").is_dir():
        return None
    try:
        return _differing(json.loads((partial / REQUEST).read_text()), request)
    except (OSError, ValueError):
        return ["request"]


def _finish(partial: Path, out: Path, request: dict[str, Any]) -> None:
    """Hash, flush and rename; the state to resume from goes last, so that a kill meanwhile costs no training."""
    left_out = (REQUEST, RECORD, "resume/")
    files = {name: digest for name, digest in _hash_files(partial).items() if not name.startswith(left_out)}
    record = {"schema": 1, "request": request, "files": files, "made_by": versions()}
    record["fingerprint"] = _digest({"request": request, "files": files})
    write_json(partial / RECORD, record)
    for path in [*partial.rglob("*"), partial]:
        flush(path)
    if (partial / "resume").is_dir():
        shutil.rmtree(partial / "resume")
    (partial / REQUEST).unlink()
    flush(partial)
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    partial.rename(out)
    flush(out.parent)
    shutil.rmtree(old, ignore_errors=True)


def _plan(
    out: Path, stage: str, settings: Mapping[str, Any], inputs: Mapping[str, Path], options: BuildOptions
) -> None:
    """Report what :func:`build` would do; a result is also out of date when one of its inputs is."""
    waits = [name for name, path in inputs.items() if path in options.pending or not path.exists()]
    request = _request(stage, settings, {name: path for name, path in inputs.items() if name not in waits})
    request["inputs"] |= dict.fromkeys(waits, "not made yet")
    status = "would be made"
    if out.exists():
        differing = [name.removeprefix("inputs.") for name in _differences(out, request)]
        status = f"would be made again (changed: {', '.join(differing)})" if differing else "up to date"
    if status != "up to date" and _interrupted(_partial(out), request) == []:
        status = "would be resumed" if options.resume else "interrupted, needs --resume"
    if status != "up to date":
        options.pending.add(out)
    options.progress.stage(str(out), status)


def _hash_files(directory: Path) -> dict[str, str]:
    """SHA-256 of every file below a directory, by relative path, in order."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): _hash_once(path) for path in paths}


@lru_cache(maxsize=65_536)
def _remembered_hash(path: Path, state: tuple[int, ...]) -> str:
    """SHA-256 of a file in one state."""
    return sha256(path)


def _hash_once(path: Path) -> str:
    """SHA-256, remembered in this process; a file written so lately that it could be again unnoticed is hashed anew."""
    stat = path.stat()
    state = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
    return _remembered_hash(path, state) if time.time_ns() - max(state[:2]) > SETTLED_NS else sha256(path)


def _digest(value: Any) -> str:
    """SHA-256 of a value's JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _unwritable(out: Path, error: OSError) -> OutputError:
    """Describe a failed write."""
    return OutputError(
        f"output must be writable, got {error.strerror or error} ({error.filename or out}). "
        "Free space, change permissions or choose another --out."
    )


def _unreadable(inputs: Mapping[str, Path], error: OSError) -> DataError | None:
    """Describe a failed read, if the file it failed on belongs to an input."""
    for name, path in inputs.items():
        if error.filename and Path(str(error.filename)).is_relative_to(path):
            return DataError(
                f"{name} must be readable, got {error.strerror} ({error.filename}). "
                "Check the path and its permissions."
            )
    return None
