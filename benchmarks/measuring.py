"""Interleaved timings, peak memory and the common form of results; every benchmark of this folder uses it."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Work = Callable[[], object]


def interleaved(candidates: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    """Time A B C A B C …, so that a busy machine is busy for all; return seconds by name, one a round."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, work in candidates.items():
            start = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - start)
    return taken


def row(
    work: str, peer: str, goal: float | None, ours: list[float], theirs: list[float], error: str, **more: Any
) -> dict[str, Any]:
    """Describe one comparison: the median over the rounds of the ratio within a round, and its range."""
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    return {
        "work": work,
        "peer": peer,
        "goal": goal,
        "ratio": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
        "rounds": len(ratios),
        "seconds": statistics.median(ours),
        "peer_seconds": statistics.median(theirs),
        "error": error,
        **more,
    }


def high_water_gib() -> float:
    """Return the most memory this process held (Linux); ru_maxrss would also count the process that started it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def peak_rss_gib(script: str, arguments: list[str]) -> float:
    """Run a script in a process of its own, which prints :func:`high_water_gib` last, and return that."""
    done = subprocess.run([sys.executable, script, *arguments], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def save(name: str, rows: list[dict[str, Any]], quick: bool, path: Path | None) -> None:
    """Print the rows, and write them with machine and date to a file, unless they are of a quick look."""
    import torch

    for each in rows:
        print(f"{each['work']} | {each['peer']} | x{each['ratio']:.2f} | {each['error']}")
    if path is None:
        if quick:
            return
        path = RESULTS / f"{name}.json"
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    packages = {package: version(package) for package in ("biostyle", "torch", "numpy")}
    content = {
        "date": datetime.date.today().isoformat(),
        "quick": quick,
        "machine": machine,
        "packages": packages,
        "rows": rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
