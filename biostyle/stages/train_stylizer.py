"""Stage: prepared domains A and B → the generators between them, with or without S_A in the loop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from biostyle.adaptation import freeze
from biostyle.adapted_model import CHAIN, GENERATOR, STATISTICS, stand_behind_chain
from biostyle.artifacts import BuildOptions, build, fingerprint, write_json
from biostyle.checkpoints import load_model, save_model
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepared import PreparedDomain, PreparedFrame, load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.errors import TranslationAlarmError
from biostyle.inference import stack_statistics
from biostyle.training.cyclegan import CycleGAN, StylizerSettings, train_cyclegan
from biostyle.training.segmenter_in_the_loop import SegmenterInTheLoop

ALARM, RENDERER = "alarm.json", "gen_ab"


def train_stylizer(
    prepared_a: Path,
    prepared_b: Path,
    out: Path,
    settings: StylizerSettings,
    preprocessing: Preprocessing,
    *,
    seed: int,
    device: str,
    options: BuildOptions,
) -> Path:
    """Train a CycleGAN on the training frames of both domains as they are; masks are not looked at.

    Parameters
    ----------
    prepared_a, prepared_b : Path
        Prepared domains.
    out : Path
        Candidate directory to make: ``gen_ba`` (B to A), beside it ``gen_ab``, ``history.csv`` and ``samples/``.
    settings : StylizerSettings
        Sizes and training.
    preprocessing : Preprocessing
        From raw frame to network input; must be the segmenter's.
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

    def work(partial: Path) -> None:
        domain_a, domain_b = load_prepared(prepared_a), load_prepared(prepared_b)
        rows_a, rows_b = domain_a.frames("train"), domain_b.frames("train")
        where = resolve_device(device)
        images_b = read_images(domain_b, rows_b, preprocessing)
        gan = train_cyclegan(
            read_images(domain_a, rows_a, preprocessing),
            images_b,
            settings,
            seed=seed,
            device=where,
            out=partial,
            on_progress=options.progress.update,
        )
        _save(partial, gan, preprocessing, images_b, where, (domain_a, rows_a), (domain_b, rows_b))

    request = {
        "training": settings.request(),
        "preprocessing": preprocessing.model_dump(mode="json"),
        "seed": seed,
    }
    inputs = {"prepared_a": prepared_a, "prepared_b": prepared_b}
    build(out, "train-stylizer", request, inputs, work, options)
    return out


def train_stylizer_in_the_loop(
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    matching: Path,
    out: Path,
    settings: StylizerSettings,
    *,
    seed: int,
    device: str,
    options: BuildOptions,
) -> Path:
    """Train a CycleGAN behind the best deterministic chain, tied to the segmentation by a frozen S_A.

    Parameters
    ----------
    prepared_a, prepared_b : Path
        Prepared domains; the masks of B are not looked at.
    segmenter : Path
        Model directory of S_A; gradients must flow through it.
    matching : Path
        Candidate directory with the chain to begin from.
    out : Path
        Candidate directory to make: ``chain``, ``gen_ba``, beside them ``gen_ab``, ``history.csv`` and ``samples/``. Where
        the alarm rang in every start there is no ``gen_ba``, and ``alarm.json`` says why.
    settings : StylizerSettings
        Sizes and training.
    seed : int
        Source of every random choice; each further start adds one.
    device : str
        Where to train; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """

    def work(partial: Path) -> None:
        where = resolve_device(device)
        model, card = load_model(segmenter)
        freeze(model).to(where)
        chain, chain_card = load_model(matching / CHAIN)
        preprocessing_a = Preprocessing.model_validate(card["preprocessing"])
        preprocessing_b = Preprocessing.model_validate(chain_card["preprocessing"])
        domain_a, domain_b = load_prepared(prepared_a), load_prepared(prepared_b)
        rows_a, rows_b = domain_a.with_truth("train"), domain_b.frames("train")
        images_b = [chain(frame[None])[0] for frame in read_images(domain_b, rows_b, preprocessing_b)]
        with torch.inference_mode():
            masks_b = [model(frame[None].to(where)).argmax(1)[0].to("cpu", torch.uint8) for frame in images_b]
        loop = SegmenterInTheLoop(model, read_masks(domain_a, rows_a, preprocessing_a), masks_b)
        images_a = read_images(domain_a, rows_a, preprocessing_a)
        first = _starts_so_far(partial)
        for start in range(first, settings.n_starts):
            try:
                gan = train_cyclegan(
                    images_a,
                    images_b,
                    settings,
                    seed=seed + start,
                    device=where,
                    out=partial,
                    on_progress=options.progress.update,
                    loop=loop,
                )
            except TranslationAlarmError as alarm:
                shutil.rmtree(partial / "resume", ignore_errors=True)
                write_json(
                    partial / ALARM, {"starts": start + 1, "reason": str(alarm).replace(".partial", "")}
                )
                continue
            (partial / ALARM).unlink(missing_ok=True)
            _save(partial, gan, preprocessing_b, images_b, where, (domain_a, rows_a), (domain_b, rows_b))
            stand_behind_chain(matching, partial)
            return

    request = {"training": settings.request(), "seed": seed}
    inputs = {
        "prepared_a": prepared_a,
        "prepared_b": prepared_b,
        "segmenter": segmenter,
        "matching": matching,
    }
    build(out, "train-stylizer-in-the-loop", request, inputs, work, options)
    return out


def _starts_so_far(partial: Path) -> int:
    """Number of starts in which the alarm rang before an interruption."""
    path = partial / ALARM
    return json.loads(path.read_text())["starts"] if path.is_file() else 0


def _save(
    out: Path,
    gan: CycleGAN,
    preprocessing: Preprocessing,
    images_b: list[torch.Tensor],
    device: torch.device,
    *parts: tuple[PreparedDomain, list[PreparedFrame]],
) -> None:
    """Write both generators, what they were trained on, and the statistics of the training frames of B."""
    frames = [name for domain, rows in parts for name in domain.global_ids(rows)]
    fingerprints = {
        name: fingerprint(domain.directory)
        for name, (domain, _) in zip(("prepared_a", "prepared_b"), parts, strict=True)
    }
    card = {
        "preprocessing": preprocessing.model_dump(mode="json"),
        "training_data": {**fingerprints, "frames": frames},
    }
    save_model(out / GENERATOR, gan.gen_ba, **card)
    statistics = stack_statistics(gan.gen_ba, [image[None] for image in images_b], device)
    if statistics is not None:
        save_file(statistics, out / GENERATOR / STATISTICS)
    save_model(out / RENDERER, gan.gen_ab, **card)
