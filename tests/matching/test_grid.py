"""The grid of chains: what is in it, in which order, and what each chain does."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from biostyle.matching.chain import MatchingChain
from biostyle.matching.grid import GridChain, GridSettings, grid_chains
from biostyle.matching.intensity import Background, Polarity, Stretch, Tone


def test_holds_every_combination_but_the_one_that_changes_nothing() -> None:
    settings = GridSettings()
    chains = grid_chains(settings)
    assert len(chains) == len(set(chains)) == len(settings.scales) * 2 * len(settings.tones) - 1
    assert GridChain(1.0, False, "linear") not in chains
    assert len({chain.name for chain in chains}) == len(chains)


def test_what_changes_least_comes_first() -> None:
    chains = grid_chains(GridSettings(scales=(0.5, 1.0), tones=("background", "linear")))
    assert [chain.name for chain in chains] == [
        "x1 background", "x1 inverted linear", "x1 inverted background",
        "x0.5 linear", "x0.5 background", "x0.5 inverted linear", "x0.5 inverted background",
    ]  # fmt: skip


def test_builds_polarity_before_tone_and_no_scale() -> None:
    settings = GridSettings(background_sigma_px=7.0)
    for chain, steps in (
        (GridChain(2.0, False, "linear"), ()),
        (GridChain(2.0, True, "linear"), (Polarity(),)),
        (GridChain(1.0, False, "square_root"), (Tone(name="square_root"),)),
        (GridChain(0.5, True, "background"), (Polarity(), Background(sigma_px=7.0))),
        (GridChain(1.0, False, "contrast"), (Stretch(low_percentile=2.0, high_percentile=98.0),)),
        (
            GridChain(1.4, True, "strong_contrast"),
            (Polarity(), Stretch(low_percentile=5.0, high_percentile=95.0)),
        ),
    ):
        assert chain.build(settings).steps == steps


def test_contrast_clips_at_either_end() -> None:
    """Of 101 evenly spaced gray values, 2 or 5 % at either end become black or white."""
    images = (torch.arange(101.0) / 100 * 0.5 + 0.2).view(1, 1, 1, 101)
    for tone, n_clipped in (("contrast", 3), ("strong_contrast", 6)):
        styled = GridChain(1.0, False, tone).build(GridSettings())(images).flatten()
        assert ((styled == 0).sum(), (styled == 1).sum()) == (n_clipped, n_clipped)
        assert styled[50].item() == pytest.approx(0.5)
        middle = styled[n_clipped - 1 : 102 - n_clipped]
        torch.testing.assert_close(middle, torch.linspace(0, 1, len(middle)), rtol=0, atol=1e-5)


def test_every_chain_keeps_size_and_range_and_survives_json() -> None:
    settings = GridSettings()
    images = torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(0))
    for chain in grid_chains(settings):
        built = chain.build(settings)
        styled = built(images)
        assert styled.shape == images.shape
        assert 0 <= styled.min() <= styled.max() <= 1
        assert torch.equal(MatchingChain(**built.arguments)(images), styled)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"scales": []}, r"scales\n.*at least 1 item"),
        ({"scales": [1.0, -0.5]}, r"scales\.1\n.*greater than 0.*input_value=-0\.5"),
        ({"tones": ["sepia"]}, r"tones\.0\n.*input_value='sepia'"),
        ({"n_finalists": 0}, r"n_finalists\n.*input_value=0"),
        ({"n_frames": 0}, r"n_frames\n.*input_value=0"),
        ({"largest_side_px": 16}, r"largest_side_px\n.*input_value=16"),
        ({"scale": [1.0]}, r"scale\n.*not permitted.*input_value=\[1\.0\]"),
    ],
)
def test_refuses_what_makes_no_grid(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        GridSettings.model_validate(wrong)
