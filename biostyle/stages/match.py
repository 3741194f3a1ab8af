"""Stage: a prepared domain B and S_A → the deterministic chain S_A is happiest with, chosen without labels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.artifacts import BuildOptions, build, fingerprint
from biostyle.checkpoints import load_model, save_model
from biostyle.data.prepared import PreparedDomain, PreparedFrame, load_prepared, spread
from biostyle.data.preprocessing import LARGEST_SCALE, Preprocessing
from biostyle.devices import resolve_device
from biostyle.errors import ConfigError
from biostyle.matching.grid import GridChain, GridSettings, grid_chains
from biostyle.selection import RULE, LabelFreeScore, best_candidate, label_free_score

CHAIN = "chain"
SMALLEST_SIDE_PX = 32


def match(
    prepared_b: Path,
    segmenter: Path,
    out: Path,
    settings: GridSettings,
    *,
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
        Directory to make: ``chains.csv`` with every chain's score, best first, and the model directory ``chain``,
        which is the one that changes least among those that cannot be told from the best.
    settings : GridSettings
        The grid.
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
        If no scale of the grid fits the frames.
    """

    def work(partial: Path) -> None:
        domain = load_prepared(prepared_b)
        rows = spread(domain.frames("train"), settings.n_frames)
        where = resolve_device(device)
        model, card = load_model(segmenter)
        model.to(where)
        base = Preprocessing.model_validate(card["preprocessing"])
        scores: dict[GridChain, LabelFreeScore] = {}
        chains = [chain for chain in grid_chains(settings) if _fits(chain, base, rows, settings)]
        if not chains:
            raise ConfigError(
                f"matching.scales must bring frames of {rows[0].height} x {rows[0].width} px at working scale "
                f"{base.working_scale:g} to sides of {SMALLEST_SIDE_PX} to {settings.largest_side_px} px, "
                f"got {list(settings.scales)} ({prepared_b}). Add other scales."
            )
        for position, chain in enumerate(chains):
            adapted = AdaptedSegmenter(model, chain.build(settings))
            scores[chain] = score_on(adapted, domain, rows, base.scaled(chain.scale), where)
            options.progress.update(position + 1, len(chains), {"label-free": scores[chain].value})
        best = best_candidate(scores)
        ranking = sorted(scores, key=lambda chain: -scores[chain].value)
        table = [
            {
                "chain": chain.name,
                "chosen": chain == best,
                **vars(scores[chain]),
                "label_free": scores[chain].value,
            }
            for chain in ranking
        ]
        pd.DataFrame(table).to_csv(partial / "chains.csv", index=False, lineterminator="\n")
        save_model(
            partial / CHAIN,
            best.build(settings),
            preprocessing=base.scaled(best.scale).model_dump(mode="json"),
            training_data={"prepared_b": fingerprint(prepared_b), "frames": domain.global_ids(rows)},
        )

    inputs = {"prepared_b": prepared_b, "segmenter": segmenter}
    build(out, "match", {**settings.model_dump(mode="json"), "rule": RULE}, inputs, work, options)
    return out


def score_on(
    segmenter: nn.Module,
    domain: PreparedDomain,
    rows: list[PreparedFrame],
    preprocessing: Preprocessing,
    device: torch.device,
) -> LabelFreeScore:
    """Score a segmenter on frames of a domain, without their masks.

    Parameters
    ----------
    segmenter : Module
        A Segmenter on ``device`` and in evaluation mode.
    domain : PreparedDomain
        The domain.
    rows : list of PreparedFrame
        Its frames.
    preprocessing : Preprocessing
        How the segmenter wants its input.
    device : device
        Where to compute.

    Returns
    -------
    LabelFreeScore
        Mean over the frames.
    """
    frames = (preprocessing.image_batch(domain.read_image(row)).to(device) for row in rows)
    return label_free_score(segmenter.eval(), frames)


def _fits(chain: GridChain, base: Preprocessing, rows: list[PreparedFrame], settings: GridSettings) -> bool:
    """Whether the scaled frames are neither too small to be halved nor larger than wanted."""
    factor = base.working_scale * chain.scale
    sides = [side * factor for row in rows for side in (row.height, row.width)]
    return (
        min(sides) >= SMALLEST_SIDE_PX and max(sides) <= settings.largest_side_px and factor <= LARGEST_SCALE
    )
