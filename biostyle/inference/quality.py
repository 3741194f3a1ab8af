"""A trained classifier of quality, and what it says of anybody's fundus photographs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from biostyle.checkpoints import load_model
from biostyle.data.degradation import QUALITIES
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError
from biostyle.inference.classification import classify, input_batch, probabilities
from biostyle.models.classifier import ImageClassifier
from biostyle.types import NDArray

EVALUATION = "evaluation.json"  # beside the weights: how a classifier does on held-back patients


class QualityClassifier:
    """A classifier of quality, from its model directory.

    Parameters
    ----------
    model : Path
        Model directory, such as ``OUT/quality`` of ``biostyle run fundus``.
    device : device
        Where to compute.

    Attributes
    ----------
    size_px : int
        Side of the squares that it wants to see.
    evaluation : dict
        How it does on held-back patients.

    Raises
    ------
    CheckpointError
        If the model is no classifier of quality.
    """

    def __init__(self, model: Path, device: torch.device) -> None:
        network, card = load_model(model)
        classes = getattr(network, "arguments", {}).get("n_classes")
        evaluation = model / EVALUATION
        if not isinstance(network, ImageClassifier) or classes != len(QUALITIES) or not evaluation.is_file():
            raise CheckpointError(
                f"model must be a classifier of quality, got {card['architecture']} with {classes} classes ({model}). "
                "Point at OUT/quality of `biostyle run fundus`."
            )
        self.network: ImageClassifier = network.to(device)
        self.preprocessing = Preprocessing.model_validate(card["preprocessing"])
        self.size_px: int = card["training_data"]["size_px"]
        self.evaluation = json.loads(evaluation.read_text())

    def classify(self, squares: Sequence[NDArray]) -> tuple[NDArray, NDArray]:
        """Score photographs and describe them.

        Parameters
        ----------
        squares : sequence of ndarray of uint8, shape (S, S, 3)
            Prepared photographs.

        Returns
        -------
        logits : ndarray of float32, shape (N, 3)
            Scores of good, usable and reject.
        features : ndarray of float32, shape (N, D)
            What the scores come from.
        """
        return classify(self.network, input_batch(squares, self.preprocessing))

    def rate(self, square: NDArray) -> NDArray:
        """Say how probable each quality of one photograph is.

        Parameters
        ----------
        square : ndarray of uint8, shape (S, S, 3)
            A prepared photograph.

        Returns
        -------
        ndarray of float32, shape (3,)
            Probabilities of good, usable and reject.
        """
        return probabilities(self.classify([square])[0])[0]
