import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from biostyle.adaptation import freeze
from biostyle.errors import InterruptedRunError, SplitError
from biostyle.models.residual_unet import ResidualUNet
from biostyle.models.unet import UNet
from biostyle.training.restoration import RestorationSettings, train_on_pairs

CPU = torch.device("cpu")
TINY = RestorationSettings(
    n_steps=6, log_every=1, checkpoint_every=4, batch_size=2, n_filters=4, depth=1, precision="float32"
)


def pairs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Coarse fields, and what is left of them at half the light: two poor images of each good one."""
    generator = torch.Generator().manual_seed(0)
    good = F.interpolate(torch.rand(3, 3, 4, 4, generator=generator) * 255, scale_factor=4)
    originals = torch.tensor([0, 0, 1, 1, 2, 2])
    return (good[originals] / 2).to(torch.uint8), good.to(torch.uint8), originals


def train(out: Path, settings: RestorationSettings = TINY, **options: Any) -> ResidualUNet:
    out.mkdir(exist_ok=True)
    torch.manual_seed(1)
    segmenter = freeze(UNet(3, 2, 4, 1))
    return train_on_pairs(
        *pairs(), settings, **{"seed": 0} | options, device=CPU, out=out, segmenter=segmenter
    )  # fmt: skip


def weights(model: torch.nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer, to the bit."""
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def test_it_learns_to_undo(tmp_path: Path) -> None:
    poor, good, originals = pairs()
    settings = TINY.model_copy(update={"n_steps": 60, "log_every": 60})
    network = train(tmp_path, settings)
    assert not network.training
    with torch.inference_mode():
        restored = network(poor / 255)
    wanted = good[originals] / 255
    assert F.l1_loss(restored, wanted) < 0.7 * F.l1_loss(poor / 255, wanted)


def test_a_resumed_run_equals_a_straight_one_bit_for_bit(tmp_path: Path) -> None:
    def on_progress(step: int, n_steps: int, losses: dict[str, float]) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    straight = train(tmp_path / "straight")
    with pytest.raises(InterruptedRunError, match="step 3 of 6"):
        train(tmp_path / "stopped", on_progress=on_progress)
    assert weights(train(tmp_path / "stopped")) == weights(straight)
    assert (tmp_path / "stopped" / "history.csv").read_bytes() == (
        tmp_path / "straight" / "history.csv"
    ).read_bytes()


@pytest.mark.parametrize(
    ("weights_of_losses", "expected"),
    [
        ({}, ["pixels", "gradient", "structure"]),
        ({"lambda_structure": 0.0}, ["pixels", "gradient"]),
        ({"lambda_gradient": 0.0, "lambda_structure": 0.0}, ["pixels"]),
    ],
)
def test_each_loss_has_its_weight(
    weights_of_losses: dict[str, float], expected: list[str], tmp_path: Path
) -> None:
    seen: list[dict[str, float]] = []
    settings = TINY.model_copy(update={"n_steps": 1} | weights_of_losses)
    train(tmp_path, settings, on_progress=lambda step, n_steps, losses: seen.append(losses))
    assert list(seen[0]) == expected
    assert all(loss > 0 for loss in seen[0].values())


def test_there_must_be_pairs(tmp_path: Path) -> None:
    none = torch.zeros(0, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(SplitError, match="at least one pair, got 0"):
        train_on_pairs(
            none, none, torch.zeros(0, dtype=torch.long), TINY,
            seed=0, device=CPU, out=tmp_path, segmenter=UNet(3, 2, 4, 1),
        )  # fmt: skip
