"""Stage: a prepared domain B and S_A → the deterministic chain S_A is happiest with, chosen without labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from biostyle.adaptation import AdaptedSegmenter
from biostyle.adapted_model import CHAIN, SINGLE_OBJECT
from biostyle.artifacts import BuildOptions, build, fingerprint, write_json
from biostyle.checkpoints import load_model, save_model
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepared import PreparedFrame, load_prepared, spread
from biostyle.data.preprocessing import LARGEST_SCALE, Preprocessing
from biostyle.devices import resolve_device
from biostyle.errors import ConfigError
from biostyle.evidence import Evidence, concord, judge, with_edges
from biostyle.matching.chain import Step
from biostyle.matching.grid import UNCHANGED, GridChain, GridSettings, grid_chains, learn_tones
from biostyle.models.single_object import SingleObject
from biostyle.selection import SCORING, STEEP_ENOUGH_TO_ASK, best_candidate
from biostyle.types import NDArray

CONCORD = "concord.json"
SMALLEST_SIDE_PX = 32


def match(
    prepared_b: Path,
    segmenter: Path,
    out: Path,
    settings: GridSettings,
    *,
    prepared_a: Path | None = None,
    device: str,
    options: BuildOptions,
) -> Path:
    """Try every chain of a grid on training frames of B and keep the one with the best label-free score.

    Parameters
    ----------
    prepared_b : Path
        Prepared domain B; its masks are not looked at.
    segmenter : Path
        Model directory of S_A.
    out : Path
        Candidate directory to make: ``chain``, which is the best of those whose contours lie on about the steepest edges;
        ``chains.csv`` with every chain's score, finalists first;
        ``concord.json`` with how much others see what it sees; where the grid says that images show one
        object, ``single_object``, which keeps it.
    settings : GridSettings
        The grid.
    prepared_a : Path or None
        Prepared domain A, for tones that are learned from its training frames and for where its objects are; not looked at
        where neither is asked for.
    device : str
        Where to compute; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    ConfigError
        If no scale of the grid fits the frames, or something is to be learned from A and there is no A.
    MaskError
        If images show one object and A has no masks.
    ImageError
        If tones need colour and the frames are gray.
    """
    inputs = {"prepared_b": prepared_b, "segmenter": segmenter}
    if settings.single_object and prepared_a is None:
        raise ConfigError(
            "matching.single_object must be false where there is no A, got true. Give a prepared domain A, whose masks say "
            "where objects are."
        )
    if settings.learned_tones and prepared_a is None:
        raise ConfigError(
            f"matching.tones must not be learned from A where there is no A, got {list(settings.learned_tones)}. "
            "Give a prepared domain A, or other tones."
        )
    if prepared_a is not None and (settings.single_object or settings.learned_tones):
        inputs["prepared_a"] = prepared_a

    def work(partial: Path) -> None:
        domain = load_prepared(prepared_b)
        rows = spread(domain.frames("train"), settings.n_frames)
        images = [domain.read_image(row) for row in rows]
        where = resolve_device(device)
        model, card = load_model(segmenter)
        model.to(where)
        base = Preprocessing.model_validate(card["preprocessing"])
        frames = domain.global_ids(rows)
        learned: dict[str, Step] = {}
        single_object = None
        if "prepared_a" in inputs:
            domain_a = load_prepared(inputs["prepared_a"])
            if settings.single_object:
                single_object = SingleObject.of(read_masks(domain_a, domain_a.with_truth("train"), base))
            rows_a = domain_a.frames("train")
            images_a = [image[None] for image in read_images(domain_a, rows_a, base)]
            learned = learn_tones(settings.learned_tones, images_a)
            frames += domain_a.global_ids(rows_a)
        chains = [chain for chain in grid_chains(settings) if _fits(chain, base, rows, settings)]
        if not chains:
            raise ConfigError(
                f"matching.scales must bring frames of {rows[0].height} x {rows[0].width} px at working scale "
                f"{base.working_scale:g} to sides of {SMALLEST_SIDE_PX} to {settings.largest_side_px} px, "
                f"got {list(settings.scales)} ({prepared_b}). Add other scales."
            )
        n_finalists = min(settings.n_finalists, len(chains))

        def judged(chain: GridChain, position: int, on: list[NDArray]) -> Evidence:
            adapted = AdaptedSegmenter(model, chain.build(settings, learned)).eval()
            found = judge(adapted, on, base.scaled(chain.scale), where, single_object=single_object)
            n_looks = len(chains) + n_finalists + 1
            options.progress.update(position + 1, n_looks, {"label-free": found.score.value})
            return found

        middle = [images[len(images) // 2]]
        # Without the masks: those of all chains would fill the memory where frames are large.
        first = {chain: replace(judged(chain, at, middle), masks=()) for at, chain in enumerate(chains)}
        finalists = sorted(chains, key=lambda chain: -first[chain].score.value)[:n_finalists]
        evidence = {
            chain: judged(chain, len(chains) + position, images)
            for position, chain in enumerate(sorted(finalists, key=chains.index))
        }
        ranking = sorted(evidence, key=lambda chain: -evidence[chain].score.value)
        # Supports are comparable at one resolution only: that at which the segmenter knows its own domain.
        shown = [base.image_batch(image)[0] for image in images]
        evidence = {chain: with_edges(found, shown) for chain, found in evidence.items()}
        # Where one object is kept, the unchanged frames may be among the finalists.
        beside = [] if UNCHANGED in evidence else [judged(UNCHANGED, len(chains) + n_finalists, images)]
        best = best_candidate(evidence, [with_edges(found, shown) for found in beside])
        table = [
            {
                "chain": chain.name,
                "chosen": chain == best,
                "round": 2 if chain in evidence else 1,
                **found.score.measures,
                "edge_support": found.edge_support,
                "label_free": found.score.value,
            }
            for chain, found in {
                chain: evidence.get(chain, first[chain]) for chain in (*ranking, *chains)
            }.items()
        ]
        pd.DataFrame(table).to_csv(partial / "chains.csv", index=False, lineterminator="\n")
        others = [evidence[chain] for chain in ranking if _is_asked(chain, best, evidence)]
        write_json(partial / CONCORD, {"concord": concord(evidence[best], others)})
        described: dict[str, Any] = {
            "preprocessing": base.scaled(best.scale).model_dump(mode="json"),
            "training_data": {
                **{name: fingerprint(path) for name, path in inputs.items() if name != "segmenter"},
                "frames": frames,
            },
        }
        save_model(partial / CHAIN, best.build(settings, learned), **described)
        if single_object is not None:
            save_model(partial / SINGLE_OBJECT, single_object, **described)

    build(out, "match", {**settings.model_dump(mode="json"), "scoring": SCORING}, inputs, work, options)
    return out


def read_concord(candidate: Path) -> float:
    """Read how much other chains see what the kept one sees.

    Parameters
    ----------
    candidate : Path
        A candidate directory.

    Returns
    -------
    float
        What :func:`biostyle.evidence.concord` said; 1 for candidates that :func:`match` did not make.
    """
    path = candidate / CONCORD
    return json.loads(path.read_text())["concord"] if path.is_file() else 1.0


def _is_asked(chain: GridChain, best: GridChain, evidence: Mapping[GridChain, Evidence]) -> bool:
    """Whether a chain is another one that draws on edges and does not turn what the best one sees inside out."""
    other, chosen = evidence[chain], evidence[best]
    most, few = (found.score.foreground_fraction for found in (other, chosen))
    sees_background = chain.inverted != best.inverted and few < 0.5 < most
    on_edges = other.edge_support >= STEEP_ENOUGH_TO_ASK * chosen.edge_support
    return chain != best and on_edges and not sees_background


def _fits(chain: GridChain, base: Preprocessing, rows: list[PreparedFrame], settings: GridSettings) -> bool:
    """Whether the scaled frames are neither too small to be halved nor larger than wanted."""
    sides = [
        side * (base.factor((row.height, row.width)) * chain.scale)
        for row in rows
        for side in (row.height, row.width)
    ]
    fits = min(sides) >= SMALLEST_SIDE_PX and max(sides) <= settings.largest_side_px
    return fits and base.working_scale * chain.scale <= LARGEST_SCALE
