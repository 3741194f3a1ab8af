from pathlib import Path

import torch
from torch import nn

from biostyle.checkpoints import load_state, save_state
from biostyle.training.seeding import RandomStream, seeded


def test_the_same_seed_gives_the_same_network() -> None:
    layers = []
    for seed in (3, 3, 4):
        with seeded(seed):
            layers.append(nn.Linear(5, 5))
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert not torch.equal(layers[0].weight, layers[2].weight)


def test_the_caller_s_random_state_stays_as_it_was() -> None:
    before = torch.random.get_rng_state()
    with seeded(3):
        torch.rand(10)
    RandomStream(3).generator.seed()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_stream_goes_on_from_a_saved_position(tmp_path: Path) -> None:
    stream = RandomStream(7)
    torch.rand(13, generator=stream.generator)
    save_state(tmp_path / "state", stream.state_dict())
    expected = torch.rand(5, generator=stream.generator)
    again = RandomStream(0)
    again.load_state_dict(load_state(tmp_path / "state"))
    assert torch.equal(torch.rand(5, generator=again.generator), expected)
