"""Time the generator on whole frames: ours against eager PyTorch and MONAI's sliding window, same weights.

Timings are interleaved (A B C A B C …) so that a busy machine is busy for all; what is reported is the median over the
rounds of the ratio within a round. Before anything is timed, ours in float32 must equal the whole frame's result.

    python benchmarks/generator.py --edge 1024 --edge 4096
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from measuring import Work, high_water_gib, interleaved, peak_rss_gib, row, save
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


def synchronised(candidate: Candidate, image: torch.Tensor) -> Work:
    """Have a candidate wait until a GPU is done."""

    def run() -> None:
        candidate(image)
        if image.is_cuda:
            torch.cuda.synchronize()

    return run


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
    runs = {name: synchronised(candidate, image) for name, candidate in chosen.items()}
    taken = interleaved(runs, rounds)
    for name, figures in rows.items():
        figures["taken"] = taken[name]
        if image.is_cuda:
            figures |= on_gpu(generator, image, statistics.median(taken[name]))
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


def summary(edge: int, rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare ours with every peer, and ours in bfloat16 with the reference."""
    pairs = [(OURS, peer) for peer in rows if not peer.startswith("ours")] + [("ours bfloat16", REFERENCE)]
    found = []
    for name, peer in pairs:
        goal = None if name != OURS else 2.0 if peer == REFERENCE else 4.0
        notes = f"{rows[name]['peak_rss_gib']:.2f} GiB, peer {rows[peer]['peak_rss_gib']:.2f} GiB"
        if "frames_per_second" in rows[name]:
            share = rows[name]["share_of_bf16_peak"]
            part = "unknown" if share is None else f"{share:.1%}"
            notes += f"; {rows[name]['frames_per_second']:.1f} frames/s, {part} of the card's bf16 peak"
        work = f"generator {edge}², {name.removeprefix('ours ')}"
        error = f"{rows[name]['relative_error']:.0e} (peer {rows[peer]['relative_error']:.0e})"
        found.append(row(work, peer, goal, rows[name]["taken"], rows[peer]["taken"], error, notes=notes))
    return found


@click.command()
@click.option("--edge", "edges", type=int, multiple=True, help="Edge of the frame, in pixels; 1024 and 4096.")
@click.option("--rounds", type=int, default=5)
@click.option("--n-filters", type=int, default=16)
@click.option("--n-blocks", type=int, default=4)
@click.option("--decoder", type=click.Choice(["resize", "transpose"]), default="resize")
@click.option("--device", default="auto")
@click.option("--threads", type=int, help="Threads; all cores unless given.")
@click.option("--quick", is_flag=True, help="Tiny sizes, to see that it runs.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Where to write the figures.")
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
    quick: bool,
    path: Path | None,
    only: str | None,
) -> None:
    """Compare ways to run the same generator on a whole frame."""
    if threads:
        torch.set_num_threads(threads)
    if quick:
        edges, rounds, n_filters, n_blocks = edges or (96,), 1, 2, 1
    where = resolve_device(device)
    generator = make_generator(n_filters, n_blocks, decoder, where)
    chosen = candidates(generator)
    if only:
        chosen[only](make_frame(edges[0], where))
        click.echo(high_water_gib())
        return
    settings = ["--n-filters", str(n_filters), "--n-blocks", str(n_blocks), "--decoder", decoder]
    settings += ["--device", device, "--threads", str(torch.get_num_threads())]
    found = []
    for edge in edges or (1024, 4096):
        rows = compare(chosen, generator, make_frame(edge, where), rounds)
        for name, figures in rows.items():
            arguments = [*settings, "--edge", str(edge), "--only", name]
            figures["peak_rss_gib"] = peak_rss_gib(__file__, arguments)
        found += summary(edge, rows)
    save("generator", found, quick, path)


if __name__ == "__main__":
    main()
