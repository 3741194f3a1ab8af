"""Stage: prepared domain A → S_A."""

from __future__ import annotations

from pathlib import Path

from biostyle.artifacts import BuildOptions, build, fingerprint
from biostyle.checkpoints import save_model
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepared import load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.training import segmenter as training


def train_segmenter(
    prepared_a: Path,
    out: Path,
    settings: training.SegmenterSettings,
    preprocessing: Preprocessing,
    *,
    seed: int,
    device: str,
    options: BuildOptions,
) -> Path:
    """Train S_A on the training frames of A that have masks.

    Parameters
    ----------
    prepared_a : Path
        Prepared domain A.
    out : Path
        Model directory to make, with ``history.csv`` and ``samples/`` beside the weights.
    settings : SegmenterSettings
        Size and training.
    preprocessing : Preprocessing
        From raw frame to network input.
    seed : int
        Source of every random choice.
    device : str
        Where to train; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    request = {
        "training": settings.request(),
        "preprocessing": preprocessing.model_dump(mode="json"),
    }

    def work(partial: Path) -> None:
        domain = load_prepared(prepared_a)
        rows = domain.with_truth("train")
        unet = training.train_segmenter(
            read_images(domain, rows, preprocessing),
            read_masks(domain, rows, preprocessing),
            settings,
            seed=seed,
            device=resolve_device(device),
            out=partial,
            on_progress=options.progress.update,
        )
        save_model(
            partial,
            unet,
            preprocessing=preprocessing.model_dump(mode="json"),
            training_data={"prepared_a": fingerprint(prepared_a), "frames": domain.global_ids(rows)},
        )

    build(out, "train-segmenter", {**request, "seed": seed}, {"prepared_a": prepared_a}, work, options)
    return out
