"""Uneven light is taken out, and what is in the middle of the photograph stays."""

from __future__ import annotations

import pytest
import torch

from biostyle.matching.chain import MatchingChain
from biostyle.matching.shading import Shading


def photograph(slope: float, curve: float) -> torch.Tensor:
    """Skin with a dark lesion in the middle, lit from one side."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 30), torch.linspace(-1, 1, 40), indexing="ij")
    light = (slope * columns + curve * rows**2).exp()
    skin = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1).expand(3, 30, 40).clone()
    skin[:, 10:20, 14:26] /= 2
    return (skin * light)[None]


@pytest.mark.parametrize(("slope", "curve"), [(0.4, 0.0), (-0.3, 0.2), (0.0, -0.4)])
def test_the_light_becomes_even_and_the_lesion_stays(slope: float, curve: float) -> None:
    even = Shading()(photograph(slope, curve))
    skin, lesion = even[..., :8, :], even[..., 11:19, 15:25]
    for channel in range(3):
        assert skin[0, channel].std() < 1e-4
    assert torch.allclose(lesion.mean(dim=(2, 3)) * 2, skin.mean(dim=(2, 3)), rtol=1e-3)


def test_even_light_is_left_alone() -> None:
    image = photograph(0, 0)
    assert torch.allclose(Shading()(image), image, atol=1e-5)


def test_images_are_corrected_one_by_one_whatever_the_size_and_precision() -> None:
    one, two = photograph(0.4, 0), photograph(-0.2, 0.1)
    both = Shading()(torch.cat([one, two]))
    assert torch.allclose(both, torch.cat([Shading()(one), Shading()(two)]), atol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.allclose(Shading()(one), both[:1], atol=1e-6)
    for shape in ((1, 1, 1, 1), (1, 1, 3, 50), (2, 3, 2, 2)):
        found = Shading()(torch.rand(shape))
        assert found.shape == shape
        assert found.isfinite().all()
    assert Shading()(torch.zeros(1, 3, 8, 8)).max() == 0


def test_it_travels_in_a_chain() -> None:
    chain = MatchingChain([Shading(border=0.2)])
    again = MatchingChain(**chain.arguments)
    image = photograph(0.3, 0)
    assert torch.equal(again(image), chain(image))
