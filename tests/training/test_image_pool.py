from pathlib import Path

import pytest
import torch

from biostyle.checkpoints import load_state, save_state
from biostyle.training.image_pool import ImagePool


def numbered(*numbers: int) -> torch.Tensor:
    """Images of one pixel that carry a number."""
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1)


def test_until_it_is_full_everything_comes_straight_back() -> None:
    pool, generator = ImagePool(4), torch.Generator().manual_seed(0)
    for batch in (numbered(0, 1), numbered(2, 3)):
        assert torch.equal(pool.exchange(batch, generator), batch)
    assert torch.equal(torch.stack(pool.images), numbered(0, 1, 2, 3))


def test_then_half_are_swapped_for_older_ones_and_none_is_lost() -> None:
    pool, generator = ImagePool(50), torch.Generator().manual_seed(0)
    pool.exchange(numbered(*range(50)), generator)
    new = numbered(*range(50, 1050))
    out = pool.exchange(new, generator)
    swapped = out != new
    assert swapped.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert (out[swapped] < new[swapped]).all()
    kept = torch.cat([out.flatten(), torch.stack(pool.images).flatten()])
    assert torch.equal(kept.sort().values, torch.arange(1050.0))


def test_size_zero_switches_it_off() -> None:
    pool, images = ImagePool(0), numbered(1, 2)
    assert pool.exchange(images, torch.Generator()) is images
    assert pool.images == []


def test_goes_on_from_a_saved_state(tmp_path: Path) -> None:
    pool, generator = ImagePool(3), torch.Generator().manual_seed(1)
    pool.exchange(numbered(0, 1, 2, 3, 4), generator)
    save_state(tmp_path / "state", pool.state_dict())
    again = ImagePool(3)
    again.load_state_dict(load_state(tmp_path / "state"))
    outcomes = [p.exchange(numbered(5, 6, 7, 8), torch.Generator().manual_seed(2)) for p in (pool, again)]
    assert torch.equal(outcomes[0], outcomes[1])


def test_saved_images_do_not_change_when_the_pool_does() -> None:
    pool, generator = ImagePool(2), torch.Generator().manual_seed(0)
    pool.exchange(numbered(0, 1), generator)
    state = pool.state_dict()
    pool.exchange(numbered(*range(2, 20)), generator)
    assert torch.equal(torch.stack(state["images"]), numbered(0, 1))
