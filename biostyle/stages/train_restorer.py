"""Stage: good photographs and the degradation model → a network that undoes degradation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from biostyle.adaptation import freeze
from biostyle.adapted_model import GENERATOR
from biostyle.artifacts import BuildOptions, build, fingerprint
from biostyle.checkpoints import load_model, save_model
from biostyle.data.prepare_degraded import rated_squares
from biostyle.data.prepared import load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.training.restoration import RestorationSettings, train_on_pairs
from biostyle.types import NDArray


def train_restorer(
    clean: Path,
    segmenter: Path,
    out: Path,
    settings: RestorationSettings,
    *,
    seed: int,
    device: str,
    options: BuildOptions,
) -> Path:
    """Train a network on the training part of good photographs and on what the degradation model makes of them.

    Parameters
    ----------
    clean : Path
        Prepared good photographs. Domain B is not looked at.
    segmenter : Path
        Model directory of the segmenter of vessels.
    out : Path
        Candidate directory to make: ``gen_ba``, beside it ``history.csv`` and ``samples/``.
    settings : RestorationSettings
        Size, training and number of pairs.
    seed : int
        Source of every random choice, degradations among them.
    device : str
        Where to train; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.

    Notes
    -----
    Good photographs, untouched and slightly degraded, are five in thirteen of the poor ones and teach to leave
    alone what is good.
    """

    def work(partial: Path) -> None:
        domain, where = load_prepared(clean), resolve_device(device)
        rows = domain.frames("train")
        poor: list[NDArray] = []
        originals: list[int] = []
        for index, row in enumerate(rows):
            for number in range(settings.n_rounds):
                # other degradations than those of the domains B and of the classifier
                squares = [rated.square for rated in rated_squares(domain, [row], seed + 2 + number)]
                poor += squares
                originals += [index] * len(squares)
        model, _ = load_model(segmenter)
        network = train_on_pairs(
            _batch(poor),
            _batch([domain.read_image(row) for row in rows]),
            torch.tensor(originals),
            settings,
            seed=seed,
            device=where,
            out=partial,
            segmenter=freeze(model).to(where),
            on_progress=options.progress.update,
        )
        save_model(
            partial / GENERATOR,
            network,
            preprocessing=Preprocessing(scaling="dtype").model_dump(mode="json"),
            training_data={"clean": fingerprint(clean), "frames": domain.global_ids(rows)},
        )

    request = {"training": settings.request(), "seed": seed}
    build(out, "train-restorer", request, {"clean": clean, "segmenter": segmenter}, work, options)
    return out


def _batch(squares: list[NDArray]) -> torch.Tensor:
    """Stack squares as uint8 of shape (N, 3, S, S)."""
    return torch.from_numpy(np.stack(squares)).movedim(-1, 1).contiguous()
