import itertools

import pytest
import torch

from biostyle.training.schedules import constant_then_linear, set_learning_rate


def test_is_constant_then_falls_in_equal_steps_but_never_to_zero() -> None:
    factors = [constant_then_linear(step, 200, 0.5) for step in range(200)]
    assert factors[:101] == [1.0] * 101
    differences = [before - after for before, after in itertools.pairwise(factors[100:])]
    assert differences == pytest.approx([0.01] * 99)
    assert factors[-1] == pytest.approx(0.01)


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, [1, 1, 1, 1]), (1.0, [1, 0.75, 0.5, 0.25])])
def test_can_stay_constant_or_fall_from_the_start(fraction: float, expected: list[float]) -> None:
    assert [constant_then_linear(step, 4, fraction) for step in range(4)] == expected


def test_sets_every_group() -> None:
    groups = [{"params": [torch.zeros(1)], "lr": 1.0}, {"params": [torch.zeros(1)], "lr": 2.0}]
    optimiser = torch.optim.SGD(groups)
    set_learning_rate(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [0.5, 0.5]
