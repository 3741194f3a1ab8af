import re

import numpy as np
import pytest
import torch

from biostyle.data.prepared import load_prepared
from biostyle.errors import CheckpointError
from biostyle.inference.quality import QualityClassifier
from tests.fundus import FundusRun

CPU = torch.device("cpu")


def test_it_rates_squares_of_its_own_size(fundus_run: FundusRun) -> None:
    classifier, domain = QualityClassifier(fundus_run.quality, CPU), load_prepared(fundus_run.mixed)
    squares = [domain.read_image(row) for row in domain.rows[:3]]
    assert squares[0].shape == (classifier.size_px, classifier.size_px, 3)
    assert set(classifier.evaluation) >= {"macro_f", "noise_floor"}
    logits, features = classifier.classify(squares)
    assert (logits.shape, len(features)) == ((3, 3), 3)
    expected = np.exp(logits[1]) / np.exp(logits[1]).sum()
    np.testing.assert_allclose(classifier.rate(squares[1]), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["grader", "segmenter"])
def test_another_model_is_refused(fundus_run: FundusRun, name: str) -> None:
    model = getattr(fundus_run, name)
    with pytest.raises(CheckpointError, match=rf"classifier of quality, got .* \({re.escape(str(model))}\)"):
        QualityClassifier(model, CPU)
