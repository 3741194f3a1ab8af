import json

import numpy as np
import pytest
from scipy import ndimage

from biostyle.data.degradation import (
    DEFECTS,
    QUALITIES,
    Defect,
    Degradation,
    Quality,
    degrade,
    draw_degradation,
    quality_of,
)
from biostyle.data.sources.simulated_fundus import simulate_retina
from biostyle.errors import ConfigError
from biostyle.types import NDArray

RETINA = simulate_retina(2)
CLEAN = RETINA.photograph.astype(np.float32) / 255


def change(defect: Defect, severity: float, seed: int) -> float:
    """Mean absolute change within the field of view."""
    spoiled, _ = degrade(CLEAN, RETINA.inside, Degradation(**{defect: severity}, seed=seed))  # type: ignore[arg-type]
    return float(np.abs(spoiled - CLEAN)[RETINA.inside].mean())


def sharpness(image: NDArray) -> float:
    """Spread of what is finer than two pixels."""
    gray = image[..., 1]
    return float(
        (gray - ndimage.gaussian_filter(gray, 2))[ndimage.binary_erosion(RETINA.inside, iterations=8)].std()
    )


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_alone_stays_inside_and_in_range(defect: Defect) -> None:
    degradation = draw_degradation("reject", 5, [defect])
    spoiled, parameters = degrade(CLEAN, RETINA.inside, degradation)
    assert list(parameters) == [defect]
    json.dumps(parameters)
    np.testing.assert_array_equal(spoiled[~RETINA.inside], CLEAN[~RETINA.inside])
    assert spoiled.dtype == np.float32
    assert spoiled.min() >= 0
    assert spoiled.max() <= 1
    assert np.abs(spoiled - CLEAN)[RETINA.inside].mean() > 0.01


@pytest.mark.parametrize("defect", DEFECTS)
def test_more_severity_changes_more(defect: Defect) -> None:
    for seed in range(5):
        assert change(defect, 0.1, seed) < change(defect, 0.4, seed) < change(defect, 0.9, seed)


def test_blur_takes_fine_structure_and_shadow_does_not_turn_it_around() -> None:
    blurred, parameters = degrade(CLEAN, RETINA.inside, Degradation(blur=0.8))
    assert sharpness(blurred) < 0.5 * sharpness(CLEAN)
    assert parameters["blur"]["sigma_px"] == pytest.approx(0.0085 * 0.8 * 210, rel=0.05)


def test_blur_lets_no_black_in_from_outside() -> None:
    flat = np.where(RETINA.inside[..., None], np.float32(0.5), np.float32(0))
    blurred, _ = degrade(flat, RETINA.inside, Degradation(blur=1.0))
    assert blurred[RETINA.inside].mean() == pytest.approx(0.5, abs=0.005)


def test_mixtures_hold_every_defect() -> None:
    spoiled, parameters = degrade(CLEAN, RETINA.inside, draw_degradation("usable", 1))
    assert set(parameters) == set(DEFECTS)
    assert len(parameters["spots"]["spots"]) >= 4
    assert not np.array_equal(spoiled, CLEAN)


@pytest.mark.parametrize("quality", QUALITIES)
def test_what_is_drawn_has_the_quality_that_was_asked_for(quality: Quality) -> None:
    for seed in range(50):
        for defects in (DEFECTS, DEFECTS[:1], DEFECTS[1:]):
            degradation = draw_degradation(quality, seed, defects)
            assert degradation.quality == quality
            assert all(getattr(degradation, defect) == 0 for defect in set(DEFECTS) - set(defects))


def test_the_limits_of_the_rule() -> None:
    assert [quality_of(s) for s in (0.2, 0.2001, 0.6, 0.6001)] == ["good", "usable", "usable", "reject"]
    assert Degradation(0.6, 0.8, 0).severity == 1
    assert Degradation(0.3, 0.4, 0).severity == pytest.approx(0.5)


def test_the_seed_decides() -> None:
    first, again = (degrade(CLEAN, RETINA.inside, Degradation(0.3, 0.3, 0.3, seed=4))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, degrade(CLEAN, RETINA.inside, Degradation(0.3, 0.3, 0.3, seed=5))[0])
    assert draw_degradation("usable", 4) == draw_degradation("usable", 4)
    assert draw_degradation("usable", 4) != draw_degradation("usable", 5)


def test_no_severity_and_no_field_of_view_change_nothing() -> None:
    np.testing.assert_array_equal(degrade(CLEAN, RETINA.inside, Degradation())[0], CLEAN)
    nowhere = np.zeros_like(RETINA.inside)
    np.testing.assert_array_equal(degrade(CLEAN, nowhere, Degradation(1, 1, 1))[0], CLEAN)


@pytest.mark.parametrize("severity", [-0.1, 1.5])
def test_refuses_other_severities(severity: float) -> None:
    with pytest.raises(ConfigError, match=rf"blur must be a severity in \[0, 1\], got {severity}"):
        Degradation(blur=severity)


@pytest.mark.parametrize("defects", [[], ["fog"]])
def test_refuses_unknown_defects(defects: list[str]) -> None:
    with pytest.raises(ConfigError, match=rf"got \[{defects[0]!r}\]" if defects else r"got \[\]"):
        draw_degradation("good", 0, defects)  # type: ignore[arg-type]
