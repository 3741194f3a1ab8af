"""Stage: annotated domain A, S_A and a generator from A to B → S_B, trained on A as it is and in the look of B."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from biostyle.adapted_model import SEGMENTER
from biostyle.artifacts import BuildOptions, build, fingerprint
from biostyle.checkpoints import load_model, read_card, save_model
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepared import load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.stages.retrain import render
from biostyle.stages.train_stylizer import RENDERER
from biostyle.training import retraining
from biostyle.training.threshold import fit_threshold


def augment(
    prepared_a: Path,
    segmenter: Path,
    renderer: Path,
    out: Path,
    settings: retraining.RetrainSettings,
    *,
    seed: int,
    device: str,
    options: BuildOptions,
) -> Path:
    """Train S_B from S_A on annotated images of A and on the same images as a CycleGAN renders them in B's look.

    Where A has validation images with masks, the threshold that is best on them, rendered, is built in.

    Parameters
    ----------
    prepared_a : Path
        Prepared domain A.
    segmenter : Path
        Model directory of S_A.
    renderer : Path
        Candidate directory whose generator ``gen_ab`` renders.
    out : Path
        Candidate directory to make: ``segmenter``, ``history.csv`` and ``samples/``.
    settings : RetrainSettings
        How to train; ``share_a`` is the share of images as they are.
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

    References
    ----------
    .. [1] Andrade C, et al. Data augmentation using adversarial image-to-image translation for the segmentation of
       mobile-acquired dermatological images. Journal of Imaging 7:2, 2021. https://doi.org/10.3390/jimaging7010002
    """
    settings = settings.model_copy(update={"n_rounds": 1})

    def work(partial: Path) -> None:
        where = resolve_device(device)
        model, card = load_model(segmenter)
        preprocessing = Preprocessing.model_validate(card["preprocessing"])
        domain = load_prepared(prepared_a)
        rows, held_back = domain.with_truth("train"), domain.with_truth("validation")
        images, masks = read_images(domain, rows, preprocessing), read_masks(domain, rows, preprocessing)
        network = retraining.retrain(
            model,
            (images, masks),
            (render(renderer, images, where), [retraining.true_probs(mask) for mask in masks]),
            settings.in_doubt(0.0),
            seed=seed,
            device=where,
            out=partial,
            on_progress=options.progress.update,
        )
        seen = [*card["training_data"]["frames"], *domain.global_ids(rows + held_back)]
        seen += read_card(renderer / RENDERER)["training_data"]["frames"]
        data: dict[str, Any] = {
            "prepared_a": fingerprint(prepared_a),
            "frames": list(dict.fromkeys(seen)),
        }
        if held_back:
            shown = render(renderer, read_images(domain, held_back, preprocessing), where)
            truth = read_masks(domain, held_back, preprocessing)
            data["threshold"] = fit_threshold(network, shown, truth, where)
        save_model(
            partial / SEGMENTER,
            network,
            preprocessing=preprocessing.model_dump(mode="json"),
            training_data=data,
        )

    request = {"training": settings.request(), "seed": seed}
    inputs = {"prepared_a": prepared_a, "segmenter": segmenter, "renderer": renderer}
    build(out, "augment", request, inputs, work, options)
    return out
