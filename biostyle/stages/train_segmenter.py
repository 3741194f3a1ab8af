"""Stage: prepared domain A → S_A."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from biostyle.artifacts import BuildOptions, build, fingerprint
from biostyle.checkpoints import save_model
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepared import load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.training import segmenter as training
from biostyle.training.threshold import fit_threshold


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

    Where A has validation frames with masks, the threshold that is best on them is built into the network, so that
    one half is right for everybody who uses it; ``training_data.threshold`` in ``model.json`` says which it was.

    Parameters
    ----------
    prepared_a : Path
        Prepared domain A.
    out : Path
        Model directory to make, with ``history.csv`` and ``samples/`` beside the weights.
    settings : SegmenterSettings
        Architecture and training.
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
        where = resolve_device(device)
        network = training.train_segmenter(
            read_images(domain, rows, preprocessing),
            read_masks(domain, rows, preprocessing),
            settings,
            seed=seed,
            device=where,
            out=partial,
            on_progress=options.progress.update,
        )
        described: dict[str, Any] = {"prepared_a": fingerprint(prepared_a)}
        held_back = domain.with_truth("validation")
        if held_back:
            images, masks = (read(domain, held_back, preprocessing) for read in (read_images, read_masks))
            described["threshold"] = fit_threshold(network, images, masks, where)
        save_model(
            partial,
            network,
            preprocessing=preprocessing.model_dump(mode="json"),
            training_data={**described, "frames": domain.global_ids(rows + held_back)},
        )

    inputs = {"prepared_a": prepared_a}
    if settings.weights is not None:
        inputs["weights"] = settings.weights
    build(out, "train-segmenter", {**request, "seed": seed}, inputs, work, options)
    return out
