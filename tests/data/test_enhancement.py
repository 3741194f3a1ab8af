import numpy as np
import pytest
from pydantic import ValidationError

from biostyle.data.degradation import Degradation, degrade
from biostyle.data.enhancement import EnhancementSettings, enhance
from biostyle.data.sources.simulated_fundus import simulate_retina

RETINA = simulate_retina(0, shape=(96, 120))
CLEAN = RETINA.photograph.astype(np.float32) / 255


def test_it_brings_an_unevenly_lit_photograph_nearer_to_the_even_one() -> None:
    spoiled, _ = degrade(CLEAN, RETINA.inside, Degradation(illumination=0.8, seed=1))
    settings = EnhancementSettings(sharpening=0)
    even = enhance(CLEAN, RETINA.inside, settings)[RETINA.inside]

    def correlation(photograph: np.ndarray) -> float:
        return float(np.corrcoef(photograph[RETINA.inside].ravel(), even.ravel())[0, 1])

    assert correlation(enhance(spoiled, RETINA.inside, settings)) > correlation(spoiled) + 0.05


def test_more_sharpening_gives_more_detail() -> None:
    fine = [
        np.abs(np.diff(enhance(CLEAN, RETINA.inside, EnhancementSettings(sharpening=amount)), axis=0)).mean()
        for amount in (0.0, 1.0, 2.0)
    ]
    assert fine[0] < fine[1] < fine[2]


def test_nothing_changes_or_leaks_in_from_outside() -> None:
    bright = np.where(RETINA.inside[..., None], CLEAN, 0.9).astype(np.float32)
    enhanced = [enhance(image, RETINA.inside, EnhancementSettings()) for image in (CLEAN, bright)]
    np.testing.assert_allclose(enhanced[0][RETINA.inside], enhanced[1][RETINA.inside], atol=1e-5)
    np.testing.assert_array_equal(enhanced[1][~RETINA.inside], np.float32(0.9))
    assert enhanced[0].dtype == np.float32


def test_widths_are_fractions() -> None:
    with pytest.raises(ValidationError, match=r"sharpening_width\n.*input_value=3"):
        EnhancementSettings(sharpening_width=3)
