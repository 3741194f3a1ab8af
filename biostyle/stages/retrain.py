"""Stage: domains A and B, S_A and the chain it is happiest with → S_B, trained without labels of B, or its ceiling."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from biostyle.adapted_model import CHAIN, SEGMENTER, SINGLE_OBJECT, load_adapted
from biostyle.artifacts import BuildOptions, build, fingerprint, read_record
from biostyle.checkpoints import load_model, read_card, save_model
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepared import load_prepared, spread
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.errors import ConfigError
from biostyle.selection import RULE, best_teacher
from biostyle.stages.match import read_concord
from biostyle.stages.select import look_at, single_object_of
from biostyle.stages.train_stylizer import RENDERER
from biostyle.training import retraining
from biostyle.training.batch_statistics import adapt_batch_statistics
from biostyle.training.threshold import fit_threshold
from biostyle.types import NOT_ANNOTATED

SHARE_B = 0.5  # of B alone in the batch statistics of a network that favours the rarer class


def retrain(
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    teacher: Path | None,
    out: Path,
    settings: retraining.RetrainSettings,
    *,
    rivals: Sequence[Path] = (),
    start: Path | None = None,
    renderer: Path | None = None,
    plain: Path | None = None,
    supervised: bool = False,
    seed: int,
    device: str,
    options: BuildOptions,
) -> Path:
    """Train S_B from S_A on A, with A's masks, and on B, with what the teacher sees.

    Parameters
    ----------
    prepared_a, prepared_b : Path
        Prepared domains.
    segmenter : Path
        Model directory of S_A.
    teacher : Path or None
        Candidate directory whose masks of B are learned from; S_B stands behind its chain, which brings B's objects to
        the size that S_A knows. None, where it learns from true masks, for frames as they are.
    out : Path
        Candidate directory to make: ``chain``, ``segmenter``, ``history.csv`` and ``samples/``.
    settings : RetrainSettings
        How to train.
    rivals : sequence of Path
        Candidate directories behind the same chain, the simplest first. One teaches instead of ``teacher`` where it
        finds more on the frames that are labelled, as :func:`biostyle.selection.best_teacher` says.
    start : Path or None
        Candidate directory with the segmenter to begin from; None begins from S_A.
    renderer : Path or None
        Candidate directory whose generator ``gen_ab`` renders A's frames in B's look; they are trained on beside the
        frames as they are. None for these alone.
    plain : Path or None
        Candidate directory that this stage made from the same inputs, with labels that are what is more probable. Given it,
        the rarer of foreground and background has the benefit of the doubt, in proportion to the discord of the teacher's
        best chains, unless one object is kept of each mask, and the weights of S_B are the mean of those that this teaches
        and those of ``plain``. Its batch statistics, which are of A and B in one batch, then go halfway to those of the
        labelled frames.
    supervised : bool
        Learn from the true masks of B's training frames instead, and from A only where there is a renderer: what
        adaptation without labels is compared with. The threshold that is best on B's validation frames, where there are
        any with masks, is built in. Never a candidate.
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

    Raises
    ------
    SplitError
        If there are no training frames, or none with masks where they are needed.
    ConfigError
        If a rival stands behind another chain, or ``plain`` was made from something else.
    """
    inputs = {"prepared_a": prepared_a, "prepared_b": prepared_b, "segmenter": segmenter}
    given = {"teacher": teacher, "start": start, "renderer": renderer}
    inputs |= {name: path for name, path in given.items() if path is not None}
    inputs |= {f"rival_{number}": rival for number, rival in enumerate(rivals, 1)}
    if supervised:
        kept = {} if renderer else {"share_a": 0.0}
        settings = settings.model_copy(update={"n_rounds": 1, **kept})

    def work(partial: Path) -> None:
        if plain is not None:
            check_plain(plain, inputs)
        where = resolve_device(device)
        model, card = load_model(start / SEGMENTER if start else segmenter)
        chain = load_model(teacher / CHAIN)[0] if teacher else nn.Identity()
        doubt = doubt_about(teacher) if plain and teacher and not supervised else 0.0
        domain_a, domain_b = load_prepared(prepared_a), load_prepared(prepared_b)
        rows_a = domain_a.with_truth("train")
        rows_b = domain_b.with_truth("train") if supervised else domain_b.frames("train")
        rows_b = spread(rows_b, settings.n_frames)
        chosen = teacher
        if teacher is not None and rivals and not supervised:
            for rival in rivals:
                check_chain(teacher, rival)
            images = [domain_b.read_image(row) for row in rows_b]
            teachers = {path: path for path in (teacher, *rivals)}
            evidence = look_at(teachers, segmenter, images, where, single_object_of(teachers))
            chosen = best_teacher(evidence, teacher)
        taught = load_adapted(chosen, segmenter)
        preprocessing_a = Preprocessing.model_validate(read_card(segmenter)["preprocessing"])

        def matched(images: list[torch.Tensor]) -> list[torch.Tensor]:
            return [chain(image[None])[0] for image in images]

        frames = read_images(domain_b, rows_b, taught.preprocessing)
        held_back = domain_b.with_truth("validation") if supervised else []
        if supervised:
            probs = [
                retraining.true_probs(mask) for mask in read_masks(domain_b, rows_b, taught.preprocessing)
            ]
        else:
            teaching, share = taught.segmenter.to(where), settings.share_of(doubt)
            probs = [
                retraining.foreground_probs(teaching, frame[None].to(where), share)[0, 0].cpu()
                for frame in frames
            ]
        shown = matched(frames)
        images_a = read_images(domain_a, rows_a, preprocessing_a)
        masks_a = read_masks(domain_a, rows_a, preprocessing_a)
        seen = [*taught.frames, *domain_a.global_ids(rows_a), *domain_b.global_ids(rows_b + held_back)]
        seen += card["training_data"]["frames"]
        if renderer is not None:
            seen += read_card(renderer / RENDERER)["training_data"]["frames"]
            images_a += render(renderer, images_a, where)
            masks_a += masks_a
        network = retraining.retrain(
            model,
            (images_a, masks_a),
            (shown, probs),
            settings.in_doubt(doubt),
            seed=seed,
            device=where,
            out=partial,
            on_progress=options.progress.update,
        )
        if plain is not None:
            retraining.average_weights(network, load_model(plain / SEGMENTER)[0])
            known = torch.cat([mask[mask != NOT_ANNOTATED] for mask in masks_a])
            batches = [frame[None].to(where) for frame in shown]
            adapt_batch_statistics(
                network, batches, known.float().mean().item(), SHARE_B, trained_on_a=settings.share_a
            )
        data: dict[str, Any] = {
            "prepared_a": fingerprint(prepared_a),
            "prepared_b": fingerprint(prepared_b),
            "frames": list(dict.fromkeys(seen)),
        }
        if chosen is not None and not supervised:
            data["taught_by"] = chosen.name
        if held_back:
            data["threshold"] = fit_threshold(
                network,
                matched(read_images(domain_b, held_back, taught.preprocessing)),
                read_masks(domain_b, held_back, taught.preprocessing),
                where,
            )
        described = {"preprocessing": taught.preprocessing.model_dump(mode="json"), "training_data": data}
        save_model(partial / SEGMENTER, network, **described)
        if teacher is not None:
            save_model(partial / CHAIN, chain, **described)
            if (teacher / SINGLE_OBJECT).is_dir():
                shutil.copytree(teacher / SINGLE_OBJECT, partial / SINGLE_OBJECT)

    request = {
        "training": settings.request(),
        "seed": seed,
        "favour_rare": plain is not None,
        "supervised": supervised,
    }
    if rivals:
        request["rule"] = RULE
    if plain is not None:
        request["share_b"] = SHARE_B
    build(out, "retrain", request, inputs | ({"plain": plain} if plain else {}), work, options)
    return out


def check_chain(teacher: Path, rival: Path) -> None:
    """Make sure that a rival's masks are those of frames that the teacher's chain shows.

    Parameters
    ----------
    teacher, rival : Path
        Candidate directories.

    Raises
    ------
    ConfigError
        If they are not.
    """
    if not (rival / CHAIN).is_dir() or read_card(rival / CHAIN) != read_card(teacher / CHAIN):
        raise ConfigError(
            f"rival must stand behind the teacher's chain, got another one or none ({rival}). Make it with "
            f"'biostyle adapt-statistics' or 'train-stylizer', with --matching {teacher}."
        )


def check_plain(plain: Path, inputs: Mapping[str, Path]) -> None:
    """Make sure that a network began where another does, and saw the same: else their mean is neither.

    Parameters
    ----------
    plain : Path
        Candidate directory that :func:`retrain` made.
    inputs : mapping of str to Path
        What it has to have been made from.

    Raises
    ------
    ConfigError
        If it was made from something else.
    """
    request = read_record(plain)["request"]
    same = request["inputs"] == {name: fingerprint(path) for name, path in inputs.items()}
    if request["stage"] != "retrain" or not same or request["settings"]["supervised"]:
        raise ConfigError(
            f"--favour-rare must name what 'biostyle retrain' made from the same inputs, got something else ({plain}). Make "
            "it with the same domains, segmenter, teacher, rivals and renderer, without --favour-rare and --supervised."
        )


def doubt_about(teacher: Path) -> float:
    """Say how much a teacher's masks are to be doubted in favour of the rarer class.

    Parameters
    ----------
    teacher : Path
        Candidate directory.

    Returns
    -------
    float
        One minus the concord with the best chain. None where one object is kept of each mask: there S_A is known to invent
        objects rather than to miss them.
    """
    return 0.0 if (teacher / SINGLE_OBJECT).is_dir() else 1 - read_concord(teacher)


@torch.inference_mode()
def render(renderer: Path, images_a: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Give frames of A the look of B, as far as a generator has learned it.

    Parameters
    ----------
    renderer : Path
        Candidate directory with the generator ``gen_ab``.
    images_a : list of Tensor of shape (C, H, W)
        Frames of A, in [0, 1].
    device : device
        Where to compute.

    Returns
    -------
    list of Tensor of shape (C, H, W)
        In [0, 1].
    """
    generator, _ = load_model(renderer / RENDERER)
    generator.to(device)
    return [generator(image[None].to(device))[0].cpu() for image in images_a]
