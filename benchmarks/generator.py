"""Time the generator on whole frames: ours against eager PyTorch and MONAI's sliding window, same weights.

Timings are interleaved (A B C A B C …) so that a busy machine is busy for all; what is reported is the median over the
rounds of the ratio within a round. Before anything is timed, ours in float32 must equal the whole frame's result.

    python benchmarks/generator.py --edge 1024 --edge 4096 --json build/generator.json
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch.utils.flop_counter import FlopCounterMode

from biostyle.devices import resolve_device
from biostyle.inference import InferenceSettings, translate
from biostyle.models.resnet_generator import ResnetGenerator

REFERENCE, OURS = "eager float32", "ours float32"
LARGEST_ERROR = 1e-5
BF16_PEAK_TFLOPS = {"H100": 989, "H200": 989, "A100": 312}  # dense, as the maker states them
Candidate = Callable[[torch.Tensor], torch.Tensor]


def make_generator(n_filters: int, n_blocks: int, decoder: str, device: torch.device) -> ResnetGenerator:
    torch.manual_seed(0)
    generator = ResnetGenerator(n_filters=n_filters, n_blocks=n_blocks, decoder=decoder)  # type: ignore[arg-type]
    return generator.eval().requires_grad_(False).to(device)


def make_frame(edge: int, device: torch.device) -> torch.Tensor:
    """Return blobs on a slope, so that no tile has the frame's statistics."""
    torch.manual_seed(1)
    coarse = torch.rand(1, 1, max(edge // 32, 2), max(edge // 32, 2))
    blobs = torch.nn.functional.interpolate(coarse, size=(edge, edge), mode="bicubic").clamp(0, 1) ** 3
    slope = torch.linspace(0, 0.4, edge)[:, None]
    return (0.5 * blobs + slope + 0.1 * torch.rand(edge, edge)).to(device)


def sliding(generator: ResnetGenerator, overlap: float) -> Candidate:
    def infer(image: torch.Tensor) -> torch.Tensor:
        from monai.inferers import (
            sliding_window_inference,
        )  # its import takes memory, so only where it is used

        windows = sliding_window_inference(image, 256, 4, generator, overlap=overlap, mode="gaussian")
        assert isinstance(windows, torch.Tensor)
        return windows

    return infer


def candidates(generator: ResnetGenerator) -> dict[str, Candidate]:
    return {
        REFERENCE: generator,
        "MONAI overlap .25": sliding(generator, 0.25),
        "MONAI overlap .5": sliding(generator, 0.5),
        OURS: lambda image: translate(generator, image),
        "ours bfloat16": lambda image: translate(generator, image, InferenceSettings(precision="bfloat16")),
    }


def seconds(candidate: Candidate, image: torch.Tensor) -> float:
    synchronise = torch.cuda.synchronize if image.is_cuda else lambda: None
    synchronise()
    start = time.perf_counter()
    candidate(image)
    synchronise()
    return time.perf_counter() - start


def high_water_kib() -> int:
    """Return the most memory this process held (Linux); ru_maxrss would also count the process that started it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def peak_rss_gib(name: str, arguments: list[str]) -> float:
    """Run one candidate once in a process of its own and return the most memory it held."""
    command = [sys.executable, __file__, *arguments, "--only", name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(
    chosen: dict[str, Candidate], generator: ResnetGenerator, image: torch.Tensor, rounds: int
) -> dict[str, dict[str, Any]]:
    expected = chosen[REFERENCE](image)
    rows: dict[str, dict[str, Any]] = {}
    for name, candidate in chosen.items():
        error = ((candidate(image) - expected).abs().max() / expected.abs().max()).item()
        rows[name] = {"relative_error": error}
    if rows[OURS]["relative_error"] > LARGEST_ERROR:
        raise click.ClickException(f"{OURS} must equal {REFERENCE}, got {rows[OURS]['relative_error']:.1e}.")
    taken: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, candidate in chosen.items():
            taken[name].append(seconds(candidate, image))
    for name, row in rows.items():
        row["seconds"] = statistics.median(taken[name])
        for other in chosen:
            if not other.startswith("ours"):
                ratios = [a / b for a, b in zip(taken[other], taken[name], strict=True)]
                row[f"speed-up over {other}"] = statistics.median(ratios)
        if image.is_cuda:
            row |= on_gpu(generator, image, row["seconds"])
    return rows


def on_gpu(generator: ResnetGenerator, image: torch.Tensor, taken: float) -> dict[str, Any]:
    """Return frames per second and the share of the card's bf16 peak, counting the network's own operations."""
    with FlopCounterMode(display=False) as counter:
        generator(image[..., :64, :64])
    flop = counter.get_total_flops() * image.numel() / 64**2
    card = torch.cuda.get_device_name(image.device)
    peak = next((tflops for name, tflops in BF16_PEAK_TFLOPS.items() if name in card), None)
    share = None if peak is None else flop / taken / peak / 1e12
    return {"frames_per_second": 1 / taken, "share_of_bf16_peak": share}


def show(edge: int, rows: dict[str, dict[str, Any]]) -> None:
    keys = list(next(iter(rows.values())))
    click.echo(f"\n{edge} x {edge} px\n| | {' | '.join(keys)} |\n|---|{'---|' * len(keys)}")
    for name, row in rows.items():
        cells = (f"{row[key]:.1e}" if "error" in key else f"{row[key]:.3g}" for key in keys)
        click.echo(f"| {name} | {' | '.join(cells)} |")


@click.command()
@click.option(
    "--edge", "edges", type=int, multiple=True, default=(1024,), help="Edge of the frame, in pixels."
)
@click.option("--rounds", type=int, default=5)
@click.option("--n-filters", type=int, default=16)
@click.option("--n-blocks", type=int, default=4)
@click.option("--decoder", type=click.Choice(["resize", "transpose"]), default="resize")
@click.option("--device", default="cpu")
@click.option("--threads", type=int, help="Threads; all cores unless given.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Where to write the figures.")
@click.option("--only", hidden=True)
@torch.inference_mode()
def main(
    edges: tuple[int, ...],
    rounds: int,
    n_filters: int,
    n_blocks: int,
    decoder: str,
    device: str,
    threads: int | None,
    json_path: Path | None,
    only: str | None,
) -> None:
    """Compare ways to run the same generator on a whole frame."""
    if threads:
        torch.set_num_threads(threads)
    where = resolve_device(device)
    generator = make_generator(n_filters, n_blocks, decoder, where)
    chosen = candidates(generator)
    if only:
        chosen[only](make_frame(edges[0], where))
        click.echo(high_water_kib() / 2**20)
        return
    settings = ["--n-filters", str(n_filters), "--n-blocks", str(n_blocks), "--decoder", decoder]
    settings += ["--device", device, "--threads", str(torch.get_num_threads())]
    results = {}
    for edge in edges:
        rows = compare(chosen, generator, make_frame(edge, where), rounds)
        for name, row in rows.items():
            row["peak_rss_gib"] = peak_rss_gib(name, [*settings, "--edge", str(edge)])
        show(edge, rows)
        results[str(edge)] = rows
    if json_path:
        machine = {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
        }
        content = {"machine": machine, "torch": torch.__version__, "settings": settings, "results": results}
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
