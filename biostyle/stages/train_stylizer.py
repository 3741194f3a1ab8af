"""Stage: prepared domains A and B → the generators between them."""

from __future__ import annotations

from pathlib import Path

from biostyle.artifacts import BuildOptions, build, fingerprint
from biostyle.checkpoints import save_model
from biostyle.data.datasets import read_images
from biostyle.data.prepared import load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.training.cyclegan import StylizerSettings, train_cyclegan


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
    """Train a CycleGAN on the training frames of both domains; masks are not looked at.

    Parameters
    ----------
    prepared_a, prepared_b : Path
        Prepared domains.
    out : Path
        Directory to make: model directories ``gen_ba`` (B to A) and ``gen_ab``, ``history.csv`` and ``samples/``.
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
    request = {
        "training": settings.model_dump(mode="json"),
        "preprocessing": preprocessing.model_dump(mode="json"),
    }
    inputs = {"prepared_a": prepared_a, "prepared_b": prepared_b}

    def work(partial: Path) -> None:
        images, training_data = {}, {}
        for name, path in inputs.items():
            domain = load_prepared(path)
            rows = domain.frames("train")
            images[name] = read_images(domain, rows, preprocessing)
            training_data[name] = {"fingerprint": fingerprint(path), "frames": domain.global_ids(rows)}
        gan = train_cyclegan(
            images["prepared_a"],
            images["prepared_b"],
            settings,
            seed=seed,
            device=resolve_device(device),
            out=partial,
            on_progress=options.progress.update,
        )
        card = {
            "preprocessing": preprocessing.model_dump(mode="json"),
            "training_data": {
                **training_data,
                "frames": [name for part in training_data.values() for name in part["frames"]],
            },
        }
        save_model(partial / "gen_ba", gan.gen_ba, **card)
        save_model(partial / "gen_ab", gan.gen_ab, **card)

    build(out, "train-stylizer", {**request, "seed": seed}, inputs, work, options)
    return out
