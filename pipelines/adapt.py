"""Adapt: anybody's segmenter and anybody's two folders of images → a segmenter for the second folder.

A straight line of stages: bring S_A (or train it) and both folders into our form; race the candidates; choose among them
without labels; keep the chosen one; predict and report. Masks of B are seen by the report alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from biostyle.artifacts import BuildOptions, claim_run_directory
from biostyle.checkpoints import CARD, read_card
from biostyle.config import AdaptConfig, dump_config
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.pipelines.race import can_be_used, race
from biostyle.stages.export_adapted import export_adapted
from biostyle.stages.import_segmenter import import_segmenter
from biostyle.stages.predict import predict
from biostyle.stages.prepare import prepare_folder
from biostyle.stages.report import DomainDirectories, report
from biostyle.stages.score import score
from biostyle.stages.select import chosen_candidate
from biostyle.stages.train_segmenter import train_segmenter

NEEDS_MASKS = ("augmented", "cyclegan_sa", "retrain", "retrain_rare")


@dataclass(frozen=True)
class Given:
    """What the user has.

    Attributes
    ----------
    images_a, images_b : Path
        Folders of images of the annotated and of the new domain.
    masks_a : Path or None
        Masks of A; needed where there is no segmenter.
    masks_b : Path or None
        Masks of B, for the report.
    segmenter : str or None
        S_A: a model directory, a TorchScript or ``.pt2`` file, or ``package.module:factory``. None to train one.
    multiple : int
        What height and width must be multiples of, for a file or a factory.
    """

    images_a: Path
    images_b: Path
    masks_a: Path | None = None
    masks_b: Path | None = None
    segmenter: str | None = None
    multiple: int = 1


def run(config: AdaptConfig, given: Given, out: Path, *, command: str, options: BuildOptions) -> Path:
    """Adapt a segmenter; what is there already and still right is not made again.

    Parameters
    ----------
    config : AdaptConfig
        Everything that can be set.
    given : Given
        The segmenter and the folders.
    out : Path
        The run's directory; the adapted model will be ``out/model``.
    command : str
        Command line to print in the report.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        The report's directory, with ``index.html``, ``report.md``, ``scores.csv`` and ``summary.json``.

    Raises
    ------
    DataError
        If the segmenter, a folder, the configuration or ``out`` cannot be used.
    InterruptedRunError
        If training was stopped on request.
    """
    resolve_device(config.device)  # a missing device is named before anything is made
    claim_run_directory(out, config.pipeline, dump_config(config), options)
    prepared = out / "prepared"
    prepared_a = prepare_folder(
        given.images_a, given.masks_a, prepared / "a", name="A", part="train", options=options
    )
    prepared_b = prepare_folder(given.images_b, None, prepared / "b", name="B", part="train", options=options)
    segmenter = _segmenter(config, given, prepared_a, out / "segmenter", options)
    config, left_out = _possible(config, given, segmenter)
    raced = race(config, prepared_a, prepared_b, segmenter, out / "candidates", options)
    model = export_adapted(
        segmenter, raced.candidates, raced.choice, out / "model", left_out=left_out, options=options
    )
    tested = prepare_folder(  # under a name of its own: these frames may have been adapted to, without labels
        given.images_b,
        given.masks_b,
        prepared / "b_tested",
        name="B, tested",
        part="test",
        unlike=prepared_a if given.masks_b else None,
        options=options,
    )
    chosen = chosen_candidate(raced.choice)
    shown = ("before", *raced.candidates) if given.masks_b else tuple(dict.fromkeys(("before", chosen)))
    predictions = {
        row: predict(
            tested,
            out / "predictions" / row,
            segmenter=segmenter,
            candidate=raced.candidates.get(row),
            device=config.device,
            options=options,
        )
        for row in shown
        if row == "before" or can_be_used(raced.candidates[row], options)
    }
    predictions["after"] = predictions[chosen]
    scores = score(tested, predictions, out / "scores", reference=config.score.reference, options=options)
    domain = DomainDirectories(
        prepared=tested,
        scores=scores,
        before=predictions["before"],
        after=predictions["after"],
        choice=model,
    )
    return report(
        {"b": domain},
        out / "report",
        title=config.report.title,
        pipeline=config.pipeline,
        config=config.model_dump(mode="json"),
        command=command,
        published=None,
        options=options,
    )


def _segmenter(config: AdaptConfig, given: Given, prepared_a: Path, out: Path, options: BuildOptions) -> Path:
    """Import S_A, or train it."""
    if given.segmenter is not None:
        return import_segmenter(
            given.segmenter, out, config.preprocessing, multiple=given.multiple, options=options
        )
    return train_segmenter(
        prepared_a,
        out,
        config.segmenter,
        config.preprocessing,
        seed=config.seed,
        device=config.device,
        options=options,
    )


def _possible(config: AdaptConfig, given: Given, segmenter: Path) -> tuple[AdaptConfig, dict[str, str]]:
    """Leave out candidates that A and S_A do not allow, and take over the preprocessing of S_A."""
    left_out: dict[str, str] = {}
    if given.masks_a is None:
        left_out = dict.fromkeys(NEEDS_MASKS, "there are no masks of A.")
    if (segmenter / CARD).is_file():  # it may be missing in a dry run
        card = read_card(segmenter)
        preprocessing = Preprocessing.model_validate(card["preprocessing"])
        config = config.model_copy(update={"preprocessing": preprocessing})
        if not card["differentiable"]:
            left_out |= dict.fromkeys(NEEDS_MASKS, "no gradient passes through the segmenter.")
        elif not card["trainable"]:
            left_out |= dict.fromkeys(
                ("augmented", "retrain", "retrain_rare"), "the segmenter has no weights to train."
            )
    if config.matching.single_object:
        left_out["retrain_rare"] = "where images show one object, a segmenter invents more than it misses."
    left_out = {name: left_out[name] for name in config.candidates if name in left_out}
    kept = tuple(name for name in config.candidates if name not in left_out)
    return config.model_copy(update={"candidates": kept}), left_out
