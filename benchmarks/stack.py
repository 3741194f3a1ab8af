"""Time a stack → stylized and segmented TIFF: ``stylize``, then ``segment`` what it wrote, against a script.

The script is what one writes in ten minutes: read the stack, run the network on each frame in float32, write the result;
read it again for the segmenter. Both use the same weights. Peak memory is taken at two lengths, each in its own process.

    python benchmarks/stack.py
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click
import numpy as np
import tifffile
import torch
from measuring import high_water_gib, interleaved, peak_rss_gib, row, save
from models import write_models

from biostyle.adapted_model import load_adapted
from biostyle.application import load
from biostyle.io.inputs import find_inputs
from biostyle.stages.process_files import Task, process_files

LARGEST_STEP, LARGEST_SHARE = 1, 1e-4  # of the 256 gray values, and of the pixels of masks


def write_stack(path: Path, n_frames: int, edge: int) -> None:
    """Write smooth noise that moves."""
    coarse = torch.rand(n_frames, 1, edge // 8, edge // 8, generator=torch.Generator().manual_seed(0))
    planes = (
        torch.nn.functional.interpolate(plane[None], size=(edge, edge), mode="bicubic") for plane in coarse
    )
    values = ((plane[0, 0].clamp(0, 1) * 255).to(torch.uint8).numpy() for plane in planes)
    tifffile.imwrite(path, values, shape=(n_frames, edge, edge), dtype=np.uint8, metadata={"axes": "TYX"})


def ours(root: Path) -> None:
    """Run the two verbs."""
    for task, name, source in (
        (Task("stylize", axes="TYX"), "whole", root / "in.tif"),
        (Task("segment", axes="TYX"), "segmenter", root / "ours" / "stylize" / "in.tif"),
    ):
        out = root / "ours" / task.verb
        shutil.rmtree(out, ignore_errors=True)
        (result,) = process_files(load(root / name, "cpu"), find_inputs([source]), out, task)
        assert result.status == "written", result.error


@torch.inference_mode()
def script(root: Path) -> None:
    """Do it straightforwardly."""
    (root / "script").mkdir(exist_ok=True)
    whole, segmenter = load_adapted(root / "whole"), load_adapted(root / "segmenter")

    def batch(frame: np.ndarray) -> torch.Tensor:
        low, high = np.percentile(frame, [0.5, 99.5])
        return torch.from_numpy(np.clip((frame - low) / (high - low), 0, 1).astype(np.float32))[None, None]

    stylized = [whole.stylizer(batch(frame))[0, 0].numpy() for frame in tifffile.imread(root / "in.tif")]
    tifffile.imwrite(root / "script" / "stylized.tif", np.rint(np.stack(stylized) * 255).astype(np.uint8))
    frames = tifffile.imread(root / "script" / "stylized.tif")
    masks = [segmenter.segmenter(batch(frame)).argmax(dim=1)[0].numpy() for frame in frames]
    tifffile.imwrite(root / "script" / "masks.tif", (np.stack(masks) > 0).astype(np.uint8) * 255)


def check(root: Path) -> str:
    """Refuse to time what is not the same; return by how much it differs."""
    pairs = {"stylize": "stylized", "segment": "masks"}
    images = {
        verb: [
            tifffile.imread(root / folder / name)
            for folder, name in (("ours", f"{verb}/in.tif"), ("script", f"{twin}.tif"))
        ]
        for verb, twin in pairs.items()
    }
    step = int(np.abs(np.subtract(*images["stylize"], dtype=np.int16)).max())
    share = float((images["segment"][0] != images["segment"][1]).mean())
    if step > LARGEST_STEP or share > LARGEST_SHARE:
        raise click.ClickException(
            f"both must give the same, got {step} gray values and {share:.1e} of the masks."
        )
    return f"{step} of 255; {share:.0e} of the mask pixels"


@click.command()
@click.option("--quick", is_flag=True, help="Tiny sizes, to see that it runs.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Where to write the figures.")
@click.option("--only", type=(click.Choice(["ours", "script"]), click.Path(path_type=Path)), hidden=True)
def main(quick: bool, path: Path | None, only: tuple[str, Path] | None) -> None:
    """Compare the verbs with a script on one stack."""
    candidates = {"ours": ours, "script": script}
    if only:
        candidates[only[0]](only[1])
        click.echo(high_water_gib())
        return
    n_frames, edge, rounds = (8, 64, 1) if quick else (200, 512, 3)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_models(root, quick)
        memory = {}
        for length in (n_frames // 4, n_frames):
            write_stack(root / "in.tif", length, edge)
            for name in candidates:
                memory[name, length] = peak_rss_gib(__file__, ["--only", name, str(root)])
        error = check(root)
        taken = interleaved({name: lambda run=run: run(root) for name, run in candidates.items()}, rounds)
    notes = ", ".join(
        f"{name} {memory[name, n_frames // 4]:.2f} GiB for {n_frames // 4} frames, "
        f"{memory[name, n_frames]:.2f} GiB for {n_frames}"
        for name in candidates
    )
    work = f"{n_frames} frames of {edge}² → stylized and segmented TIFF"
    peer = "script: imread, model, imwrite; imread, segmenter, imwrite"
    more = {"notes": notes, "memory_gib": {f"{name} {length}": gib for (name, length), gib in memory.items()}}
    save("stack", [row(work, peer, 3, taken["ours"], taken["script"], error, **more)], quick, path)


if __name__ == "__main__":
    main()
