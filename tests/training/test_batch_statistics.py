"""Batch statistics of B in a segmenter of A: what is mixed, and that confluence is no matter."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from biostyle.adaptation import foreground
from biostyle.models.deeplab import DeepLab
from biostyle.models.unet import UNet
from biostyle.training.batch_statistics import BatchStatisticsSettings, adapt_batch_statistics
from tests.gray_segmenter import GrayIsProbability


class Normalised(nn.Module):
    """Calls foreground what is above .5, and normalises it twice on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.second(self.first(images))
        return torch.cat([torch.zeros_like(found), 1e4 * (found - 0.5)], dim=1)


def half_full(dark: float, bright: float, columns: int = 4) -> torch.Tensor:
    """A frame of 8 columns, some of them bright."""
    frame = torch.full((1, 1, 8, 8), dark)
    frame[..., :columns] = bright
    return frame


def statistics(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in network.state_dict().items() if "running" in name}


def test_statistics_are_mixed_in_the_share_that_is_asked_for() -> None:
    network = Normalised().eval()
    frames = [half_full(0.1, 0.7), half_full(0.3, 0.9)]
    assert adapt_batch_statistics(network, frames, 0.5, 0.25)
    assert network.first.running_mean.item() == pytest.approx(0.25 * 0.5)  # type: ignore[union-attr]
    assert network.first.running_var.item() == pytest.approx(0.75 + 0.25 * 0.09)  # type: ignore[union-attr]
    # The second one was shown what the first one makes of B with B's own statistics.
    assert network.second.running_mean.item() == pytest.approx(0, abs=1e-6)  # type: ignore[union-attr]
    assert network.second.running_var.item() == pytest.approx(1, abs=1e-3)  # type: ignore[union-attr]


@pytest.mark.parametrize("columns", [1, 4, 7])
def test_confluence_is_no_difference_between_domains(columns: int) -> None:
    """Frames in which there is more or less of the same are told apart by nothing but that."""
    network = Normalised().eval()
    assert adapt_batch_statistics(network, [half_full(0.2, 0.8, columns)], 0.125, 1.0)
    assert network.first.running_mean.item() == pytest.approx(0.875 * 0.2 + 0.125 * 0.8, abs=1e-5)  # type: ignore[union-attr]
    assert network.first.running_var.item() == pytest.approx(0.875 * 0.125 * 0.36, abs=1e-5)  # type: ignore[union-attr]


@pytest.mark.parametrize(("trained_on_a", "share"), [(1.0, 0.125), (0.5, 0.3125), (0.0, 0.5)])
def test_pixels_are_weighed_to_the_share_of_foreground_in_training(trained_on_a: float, share: float) -> None:
    network = Normalised().eval()
    frames = [half_full(0.2, 0.8)]
    assert adapt_batch_statistics(network, frames, 0.125, 1.0, trained_on_a)
    assert network.first.running_mean.item() == pytest.approx(0.2 + 0.6 * share)  # type: ignore[union-attr]


def test_frames_without_any_foreground_spoil_nothing() -> None:
    for share in (0.0, 0.3, 1.0):
        network = Normalised().eval()
        assert adapt_batch_statistics(network, [torch.zeros(1, 1, 8, 8)], share, 0.5)
        assert all(value.isfinite().all() for value in statistics(network).values())


@pytest.mark.parametrize("network", [UNet(1, 2, n_filters=2, depth=2), DeepLab()])
def test_nothing_but_statistics_changes_and_nothing_is_left_behind(network: nn.Module) -> None:
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    frames = [torch.rand(1, network.arguments.get("in_channels", 3), 37, 50) for _ in range(2)]  # type: ignore[union-attr, operator]
    assert adapt_batch_statistics(network, frames, 0.2, 0.5)
    after = network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert moved <= statistics(network).keys()
    assert all(value.isfinite().all() for value in after.values())
    assert not network.training
    assert not any(module._forward_hooks for module in network.modules())
    with torch.no_grad():
        assert torch.equal(foreground(network, frames[0]), foreground(network, frames[0]))


def test_a_layer_that_sees_one_position_keeps_its_statistics() -> None:
    network = DeepLab().eval()
    pooled = [name for name, module in network.named_modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
    inside = next(name for name in pooled if name.startswith("context")).rpartition(".")[0]
    layer = next(m for m in network.get_submodule(inside).modules() if isinstance(m, nn.BatchNorm2d))
    assert adapt_batch_statistics(network, [torch.rand(1, 3, 40, 40)], 0.2, 1.0)
    assert torch.equal(layer.running_var, torch.ones_like(layer.running_var))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "network", [GrayIsProbability(), nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False))]
)
def test_says_so_where_there_is_nothing_to_adapt(network: nn.Module) -> None:
    assert not adapt_batch_statistics(network.eval(), [torch.rand(1, 1, 8, 8)], 0.2, 0.5)


@pytest.mark.parametrize("settings", [{"n_frames": 0}, {"share_b": 0}, {"share_b": 1.1}, {"share": 0.5}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        BatchStatisticsSettings.model_validate(settings)
