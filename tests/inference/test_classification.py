import numpy as np
import pytest
import torch

from biostyle.data.preprocessing import Preprocessing
from biostyle.inference.classification import classify, input_batch, probabilities
from biostyle.metrics.calibration import fit_temperature
from biostyle.models.classifier import SmallClassifier
from biostyle.training.seeding import seeded

IMAGES = torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_batches_change_nothing() -> None:
    classifier = SmallClassifier().eval()
    logits, features = classify(classifier, IMAGES)
    expected = classifier(IMAGES.float() / 255).detach().numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert features.shape == (7, classifier.head.in_features)
    np.testing.assert_allclose(classify(classifier, IMAGES, batch_size=2)[0], logits, atol=1e-5)


def test_squares_become_one_batch_of_the_working_size() -> None:
    preprocessing = Preprocessing(scaling="dtype", working_side_px=32)
    squares = IMAGES.movedim(1, -1).numpy()
    torch.testing.assert_close(input_batch(squares, preprocessing), IMAGES)
    large = np.full((2, 64, 64, 3), (10, 20, 255), np.uint8)
    batch = input_batch(large, preprocessing)
    assert (batch.dtype, batch.shape) == (torch.uint8, (2, 3, 32, 32))
    assert batch[1, :, 3, 4].tolist() == [10, 20, 255]
    assert len(input_batch([], preprocessing)) == 0


def test_nothing_to_classify() -> None:
    logits, features = classify(SmallClassifier().eval(), IMAGES[:0])
    assert logits.shape == (0, 3)
    assert features.shape == (0, 192)


def test_a_calibrated_classifier_needs_no_further_temperature() -> None:
    with seeded(0):
        classifier = SmallClassifier().eval()
    logits = classify(classifier, IMAGES)[0]
    classifier.temperature.mul_(float(np.ptp(logits, axis=1).mean()))
    labels = logits.argmax(axis=1)
    labels[:2] = (labels[:2] + 1) % 3  # right five times of seven
    classifier.temperature.mul_(fit_temperature(classify(classifier, IMAGES)[0], labels))
    assert fit_temperature(classify(classifier, IMAGES)[0], labels) == pytest.approx(1, rel=0.02)


def test_probabilities_of_large_scores() -> None:
    probs = probabilities(np.array([[1000.0, 0.0], [-1000.0, -1000.0]]))
    np.testing.assert_allclose(probs, [[1, 0], [0.5, 0.5]])
