"""Stages: good photographs → the classifier of quality, and the classifier of grades."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from biostyle.artifacts import BuildOptions, build, fingerprint, write_json
from biostyle.checkpoints import save_model
from biostyle.data.degradation import QUALITIES
from biostyle.data.enhancement import EnhancementSettings
from biostyle.data.fundus_facts import read_fundus_facts
from biostyle.data.prepare_degraded import rated_squares
from biostyle.data.prepared import PreparedDomain, PreparedFrame, load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.data.splits import Part
from biostyle.devices import resolve_device
from biostyle.inference.classification import classify, input_batch, probabilities
from biostyle.inference.quality import EVALUATION
from biostyle.metrics.calibration import expected_calibration_error, fit_temperature
from biostyle.metrics.clusters import none_if_undefined
from biostyle.metrics.grading import N_GRADES, expected_grades, kappa_with_interval
from biostyle.metrics.quality import confusion_matrix, macro_f_with_interval, noise_floor
from biostyle.stages.stylize_photographs import Stylizer
from biostyle.training.classifier import ClassifierSettings, train_classifier
from biostyle.types import NDArray


class _Labelled(NamedTuple):
    """Images (N, 3, S, S), uint8, with the class and the patient of each."""

    images: torch.Tensor
    labels: torch.Tensor
    patients: list[str]


def train_quality_classifier(
    clean: Path,
    out: Path,
    settings: ClassifierSettings,
    preprocessing: Preprocessing,
    *,
    seed: int,
    device: str,
    weights: Path | None = None,
    options: BuildOptions,
) -> Path:
    """Train the classifier of quality on good photographs and on what the degradation model makes of them.

    Parameters
    ----------
    clean : Path
        Prepared good photographs.
    out : Path
        Model directory to make; beside the weights ``history.csv`` and ``evaluation.json``, which says how it does on
        the patients of the test part: ``macro_f`` with interval, ``confusion``, ``noise_floor`` and
        ``calibration_error``, with that before calibration beside it.
    settings : ClassifierSettings
        Network and training.
    preprocessing : Preprocessing
        From prepared square to network input.
    seed : int
        Source of every random choice, degradations among them.
    device : str
        Where to train; not part of the request.
    weights : Path or None
        Safetensors file to begin with; random where there is none.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """

    def label(domain: PreparedDomain, rows: list[PreparedFrame], part: Part) -> _Labelled:
        # other degradations than those of the domains B, which have the seed itself
        rated = list(rated_squares(domain, rows, seed + 1))
        labels = torch.tensor([QUALITIES.index(quality) for _, quality, _ in rated], dtype=torch.long)
        images = input_batch((square for square, _, _ in rated), preprocessing)
        return _Labelled(images, labels, [frame.sequence for _, _, frame in rated])

    def evaluate(truth: NDArray, probs: NDArray, patients: list[str]) -> dict[str, Any]:
        pred = probs.argmax(axis=1)
        confusion = confusion_matrix(truth, pred)
        return {
            "macro_f": macro_f_with_interval(truth, pred, patients, seed=seed),
            "confusion": confusion.tolist(),
            "noise_floor": noise_floor(confusion),
        }

    return _train(
        "train-quality-classifier", clean, out, settings, preprocessing, len(QUALITIES), label, evaluate,
        seed=seed, device=device, weights=weights, calibrate=True, options=options,
    )  # fmt: skip


def train_grader(
    clean: Path,
    out: Path,
    settings: ClassifierSettings,
    preprocessing: Preprocessing,
    *,
    seed: int,
    device: str,
    weights: Path | None = None,
    options: BuildOptions,
) -> Path:
    """Train the classifier of grades of diabetic retinopathy on good photographs whose grade is known.

    Parameters
    ----------
    clean : Path
        Prepared good photographs.
    out : Path
        Model directory to make; beside the weights ``history.csv`` and ``evaluation.json``, which says how it does on
        the patients of the test part: ``kappa`` with interval, ``confusion`` and ``calibration_error``; where no training
        photograph has some grades, ``not_learned`` names them, and they are given only as a mean of others.
    settings : ClassifierSettings
        Network and training.
    preprocessing : Preprocessing
        From prepared square to network input.
    seed : int
        Source of every random choice.
    device : str
        Where to train; not part of the request.
    weights : Path or None
        Safetensors file to begin with; random where there is none.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.

    Notes
    -----
    Photographs that were degraded and are still good or usable are trained on as well, each also enhanced: the grade must
    not depend on what a camera does to a photograph, nor on how sharp and how evenly lit it is. They are not scored.

    The grader is not calibrated: a temperature that suits a grader who is often wrong makes all expected grades alike.
    """

    def label(domain: PreparedDomain, rows: list[PreparedFrame], part: Part) -> _Labelled:
        facts = read_fundus_facts(domain.directory)
        graded = [row for row in rows if facts[row.frame_id].grade is not None]
        if part == "train":
            enhanced = Stylizer((EnhancementSettings(),), torch.device("cpu"))
            squares = [
                (row, shown)
                for square, _, row in rated_squares(domain, graded, seed + 1, ["good", "usable"])
                for shown in (square, enhanced(square, facts[row.frame_id].inside(len(square))))
            ]
        else:
            squares = [(row, domain.read_image(row)) for row in graded]
        labels = torch.tensor([facts[row.frame_id].grade for row, _ in squares], dtype=torch.long)
        images = input_batch((square for _, square in squares), preprocessing)
        return _Labelled(images, labels, [row.sequence for row, _ in squares])

    def evaluate(truth: NDArray, probs: NDArray, patients: list[str]) -> dict[str, Any]:
        pred = expected_grades(probs)
        return {
            "kappa": kappa_with_interval(truth, pred, patients, seed=seed),
            "confusion": confusion_matrix(truth, pred, N_GRADES).tolist(),
        }

    return _train(
        "train-grader", clean, out, settings, preprocessing, N_GRADES, label, evaluate,
        seed=seed, device=device, weights=weights, calibrate=False, options=options,
    )  # fmt: skip


def _train(
    stage: str,
    clean: Path,
    out: Path,
    settings: ClassifierSettings,
    preprocessing: Preprocessing,
    n_classes: int,
    label: Callable[[PreparedDomain, list[PreparedFrame], Part], _Labelled],
    evaluate: Callable[[NDArray, NDArray, list[str]], dict[str, Any]],
    *,
    seed: int,
    device: str,
    weights: Path | None,
    calibrate: bool,
    options: BuildOptions,
) -> Path:
    """Train on the training part, calibrate on the validation part if wanted, and evaluate on the test part."""

    def work(partial: Path) -> None:
        domain = load_prepared(clean)
        parts: tuple[Part, ...] = ("train", "validation", "test")
        train, validation, test = (label(domain, domain.frames(part), part) for part in parts)
        classifier = train_classifier(
            train.images,
            train.labels,
            n_classes,
            settings,
            seed=seed,
            device=resolve_device(device),
            out=partial,
            weights=weights,
            on_progress=options.progress.update,
        )
        truth = test.labels.numpy()
        scores = [classify(classifier, test.images)[0]]
        if calibrate:
            classifier.temperature.mul_(
                fit_temperature(classify(classifier, validation.images)[0], validation.labels.numpy())
            )
            scores.append(classify(classifier, test.images)[0])
        probs = probabilities(scores[-1])
        errors = [expected_calibration_error(probabilities(each), truth) for each in (scores[0], scores[-1])]
        evaluation = evaluate(truth, probs, test.patients)
        if missing := sorted(set(range(n_classes)) - set(train.labels.tolist())):
            evaluation["not_learned"] = missing
        named = zip(("calibration_error_before", "calibration_error"), errors, strict=True)
        write_json(partial / EVALUATION, without_nan(evaluation | dict(named)))
        save_model(
            partial,
            classifier,
            preprocessing=preprocessing.model_dump(mode="json"),
            training_data={
                "clean": fingerprint(clean),
                "size_px": domain.rows[0].height,
                "frames": domain.global_ids(domain.frames("train") + domain.frames("validation")),
            },
        )

    request = {
        "training": settings.request(),
        "preprocessing": preprocessing.model_dump(mode="json"),
        "seed": seed,
    } | ({} if calibrate else {"calibrated": False})
    inputs = {"clean": clean} | ({} if weights is None else {"weights": weights})
    build(out, stage, request, inputs, work, options)
    return out


def without_nan(values: dict[str, Any]) -> dict[str, Any]:
    """Replace what is undefined by None, as JSON wants it.

    Parameters
    ----------
    values : dict
        Numbers and other things by name.

    Returns
    -------
    dict
        The same with None for NaN.

    Examples
    --------
    >>> without_nan({"noise_floor": float("nan"), "n": 3})
    {'noise_floor': None, 'n': 3}
    """
    return {
        name: none_if_undefined(value) if isinstance(value, float) else value
        for name, value in values.items()
    }
