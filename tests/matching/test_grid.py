"""The grid of chains: what is in it, in which order, and what each chain does."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from biostyle.errors import ImageError
from biostyle.matching.chain import MatchingChain
from biostyle.matching.colour import Reinhard, ShadesOfGrey
from biostyle.matching.grid import GridChain, GridSettings, grid_chains, learn_tones
from biostyle.matching.intensity import Background, Polarity, Stretch, Tone
from biostyle.matching.shading import Shading


def test_holds_every_combination_but_the_one_that_changes_nothing() -> None:
    settings = GridSettings()
    chains = grid_chains(settings)
    assert len(chains) == len(set(chains)) == len(settings.scales) * 2 * len(settings.tones) - 1
    assert GridChain(1.0, False, "linear") not in chains
    assert len({chain.name for chain in chains}) == len(chains)


def test_what_changes_nothing_is_included_where_one_object_is_kept() -> None:
    """Its masks are others than those of the frames as they are."""
    settings = GridSettings(scales=(0.5, 1.0), tones=("background", "linear"))
    chains = grid_chains(settings.model_copy(update={"single_object": True}))
    assert chains[0] == GridChain(1.0, False, "linear")
    assert chains[1:] == grid_chains(settings)


def test_a_setting_that_is_off_is_no_part_of_a_request() -> None:
    assert "single_object" not in GridSettings().model_dump(mode="json")
    assert GridSettings(single_object=True).model_dump(mode="json")["single_object"] is True


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


COLOUR = GridSettings(
    scales=(1.0,),
    tones=("linear", "shades_of_grey", "reinhard", "histogram", "lab_histogram", "fourier"),
    polarities=("upright",),
)


def test_tones_of_photographs_learn_the_look_of_a() -> None:
    generator = torch.Generator().manual_seed(0)
    images_a = [torch.rand(1, 3, 20, 30, generator=generator) for _ in range(2)]
    images_b = torch.rand(1, 3, 26, 22, generator=generator)
    assert COLOUR.learned_tones == ("reinhard", "histogram", "lab_histogram", "fourier")
    learned = learn_tones(COLOUR.learned_tones, images_a)
    chains = grid_chains(COLOUR)
    assert [chain.name for chain in chains] == [
        "x1 shades_of_grey", "x1 reinhard", "x1 histogram", "x1 lab_histogram", "x1 fourier"
    ]  # fmt: skip
    assert chains[0].build(COLOUR, learned).steps == (ShadesOfGrey(),)
    even = GridChain(1.0, False, "even_light").build(COLOUR)
    assert even.steps == (Shading(), ShadesOfGrey())
    assert chains[1].build(COLOUR, learned).steps == (Reinhard.of(images_a),)
    for chain in chains:
        styled = chain.build(COLOUR, learned)(images_b)
        assert styled.shape == images_b.shape
        assert 0 <= styled.min() <= styled.max() <= 1


def test_gray_tones_are_learned_from_gray_images_and_colour_is_not() -> None:
    images_a = [torch.rand(1, 1, 20, 30)]
    assert set(learn_tones(("histogram", "fourier"), images_a)) == {"histogram", "fourier"}
    with pytest.raises(ImageError, match=r"got 1\."):
        learn_tones(("reinhard",), images_a)


def test_polarities_are_in_the_settings_only_where_they_differ() -> None:
    assert "polarities" not in GridSettings().model_dump()
    assert COLOUR.model_dump()["polarities"] == ("upright",)
    assert not GridSettings().learned_tones


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"scales": []}, r"scales\n.*at least 1 item"),
        ({"scales": [1.0, -0.5]}, r"scales\.1\n.*greater than 0.*input_value=-0\.5"),
        ({"tones": ["sepia"]}, r"tones\.0\n.*input_value='sepia'"),
        ({"polarities": ["sideways"]}, r"polarities\.0\n.*input_value='sideways'"),
        ({"n_finalists": 0}, r"n_finalists\n.*input_value=0"),
        ({"n_frames": 0}, r"n_frames\n.*input_value=0"),
        ({"largest_side_px": 16}, r"largest_side_px\n.*input_value=16"),
        ({"scale": [1.0]}, r"scale\n.*not permitted.*input_value=\[1\.0\]"),
    ],
)
def test_refuses_what_makes_no_grid(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        GridSettings.model_validate(wrong)
