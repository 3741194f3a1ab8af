"""Stage: domains A and B, S_A and its best chain → S_A with batch normalisation that knows B, without training."""

from __future__ import annotations

from pathlib import Path

import torch

from biostyle.adaptation import foreground
from biostyle.adapted_model import CHAIN, SEGMENTER, stand_behind_chain
from biostyle.artifacts import BuildOptions, build, fingerprint, write_json
from biostyle.checkpoints import load_model, save_model
from biostyle.data.datasets import read_images
from biostyle.data.prepared import load_prepared, spread
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.stages.train_stylizer import ALARM
from biostyle.training.batch_statistics import BatchStatisticsSettings, adapt_batch_statistics


def adapt_statistics(
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    matching: Path,
    out: Path,
    settings: BatchStatisticsSettings,
    *,
    device: str,
    options: BuildOptions,
) -> Path:
    """Mix the batch statistics of S_A with those of training frames of B behind its best chain; no mask is looked at.

    Parameters
    ----------
    prepared_a, prepared_b : Path
        Prepared domains.
    segmenter : Path
        Model directory of S_A.
    matching : Path
        Candidate directory with the chain to stand behind.
    out : Path
        Candidate directory to make: ``chain`` and ``segmenter``. Where S_A has no batch normalisation there is no model, and
        ``alarm.json`` says so.
    settings : BatchStatisticsSettings
        How many frames, and how far.
    device : str
        Where to compute; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """

    @torch.inference_mode()
    def work(partial: Path) -> None:
        where = resolve_device(device)
        model, card = load_model(segmenter)
        chain, chain_card = load_model(matching / CHAIN)
        model.to(where)
        domain_a, domain_b = load_prepared(prepared_a), load_prepared(prepared_b)
        rows_a, rows_b = (
            spread(domain.frames("train"), settings.n_frames) for domain in (domain_a, domain_b)
        )
        images_a = read_images(domain_a, rows_a, Preprocessing.model_validate(card["preprocessing"]))
        images_b = read_images(domain_b, rows_b, Preprocessing.model_validate(chain_card["preprocessing"]))
        shares = [foreground(model, image[None].to(where)).mean().item() for image in images_a]
        frames = [chain(image[None]).to(where) for image in images_b]
        if not adapt_batch_statistics(model, frames, sum(shares) / len(shares), settings.share_b):
            write_json(
                partial / ALARM,
                {"reason": "the segmenter has no batch normalisation whose statistics could be adapted."},
            )
            return
        seen = [*card["training_data"]["frames"], *chain_card["training_data"]["frames"]]
        seen += [*domain_a.global_ids(rows_a), *domain_b.global_ids(rows_b)]
        data = {
            "prepared_a": fingerprint(prepared_a),
            "prepared_b": fingerprint(prepared_b),
            "frames": list(dict.fromkeys(seen)),
        }
        save_model(
            partial / SEGMENTER, model.cpu(), preprocessing=chain_card["preprocessing"], training_data=data
        )
        stand_behind_chain(matching, partial)

    inputs = {
        "prepared_a": prepared_a,
        "prepared_b": prepared_b,
        "segmenter": segmenter,
        "matching": matching,
    }
    build(out, "adapt-statistics", settings.model_dump(mode="json"), inputs, work, options)
    return out
