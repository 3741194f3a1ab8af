"""S_A in the loop by hand: what the discriminator sees, the loss, the agreement, balanced crops and the alarm."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from biostyle.adaptation import freeze
from biostyle.checkpoints import load_state, save_state
from biostyle.errors import TranslationAlarmError
from biostyle.losses import dice_cross_entropy
from biostyle.models.unet import UNet
from biostyle.training.segmenter_in_the_loop import AgreementAlarm, BatchSource, SegmenterInTheLoop
from biostyle.types import NOT_ANNOTATED
from tests.gray_segmenter import GrayIsProbability

CPU = torch.device("cpu")


class ThreeClasses(GrayIsProbability):
    """The same foreground, half of it in each of two classes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        background, foreground = super().forward(images).softmax(1).chunk(2, 1)
        return torch.cat([background, foreground / 2, foreground / 2], dim=1).log()


LOOP = SegmenterInTheLoop(GrayIsProbability(), [], [])


def batch(*rows: list[float]) -> torch.Tensor:
    return torch.tensor([[rows]])


@pytest.mark.parametrize("segmenter", [GrayIsProbability(), ThreeClasses()], ids=["two", "three"])
def test_the_discriminator_is_shown_the_foreground_behind_the_image(segmenter: nn.Module) -> None:
    images = torch.rand(2, 1, 4, 5) * 0.9 + 0.05
    shown = SegmenterInTheLoop(segmenter, [], []).show(images)
    assert shown.shape == (2, 2, 4, 5)
    assert torch.equal(shown[:, :1], images)
    torch.testing.assert_close(shown[:, 1:], images, rtol=0, atol=1e-5)


def test_what_is_shown_keeps_the_precision_of_the_image() -> None:
    assert LOOP.show(torch.rand(1, 1, 4, 4).bfloat16()).dtype == torch.bfloat16


def test_the_loss_is_that_of_training_s_a() -> None:
    images = torch.rand(1, 1, 3, 4) * 0.8 + 0.1
    masks = torch.tensor([[[0, 1, 1, NOT_ANNOTATED]] * 3], dtype=torch.uint8)
    expected = dice_cross_entropy(GrayIsProbability()(images), masks.long())
    assert LOOP.loss(images, masks).item() == expected.item()
    right, wrong = (
        LOOP.loss(found.float()[:, None] * 0.98 + 0.01, masks) for found in (masks == 1, masks == 0)
    )
    assert right < 0.05 < 1 < wrong


def test_gradients_flow_through_the_frozen_segmenter_to_the_image() -> None:
    unet = freeze(UNet(n_filters=2, depth=1))
    loop = SegmenterInTheLoop(unet, [], [])
    masks = torch.ones(1, 16, 16, dtype=torch.uint8)
    for function in (lambda images: loop.loss(images, masks), lambda images: loop.show(images)[:, 1].sum()):
        images = torch.rand(1, 1, 16, 16, requires_grad=True)
        function(images).backward()
        assert images.grad is not None
        assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in unet.parameters())


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([0.9, 0.9, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1], 1.0),
        ([0.9, 0.9, 0.1, 0.1], [0.1, 0.9, 0.9, 0.9], 2 * 1 / (2 + 3)),
        ([0.9, 0.9, 0.1, 0.1], [0.1, 0.1, 0.9, 0.9], 0.0),
        ([0.9, 0.9, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1], 0.0),
        ([0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1], 1.0),
        ([0.1, 0.1, 0.1, 0.1], [0.9, 0.1, 0.1, 0.1], 0.0),
    ],
    ids=["same", "partly", "exchanged", "erased", "nothing", "invented"],
)
def test_agreement_is_the_dice_of_both_masks(
    before: list[float], after: list[float], expected: float
) -> None:
    images = batch(after).requires_grad_(True)
    found = LOOP.agreement(batch(before), images)
    assert found.item() == pytest.approx(expected)
    assert not found.requires_grad


def test_agreement_is_pooled_over_the_batch() -> None:
    before = torch.cat([batch([0.9, 0.9, 0.9, 0.9]), batch([0.9, 0.1, 0.1, 0.1])])
    after = torch.cat([batch([0.9, 0.9, 0.9, 0.9]), batch([0.1, 0.9, 0.1, 0.1])])
    assert LOOP.agreement(before, after).item() == pytest.approx(2 * 4 / (5 + 5))


def rich_and_poor() -> tuple[BatchSource, BatchSource]:
    """Sources of crops with and without balance: A is foreground in its upper half, B only in a corner."""
    frames = {"a": torch.zeros(40, 40, dtype=torch.uint8), "b": torch.zeros(40, 40, dtype=torch.uint8)}
    frames["a"][:20] = 1
    frames["b"][:8, :8] = 1
    masks = {name: [mask] for name, mask in frames.items()}
    images = {name: [mask[None].float()] for name, mask in frames.items()}
    loop = SegmenterInTheLoop(GrayIsProbability(), masks["a"], masks["b"])
    plain, balanced = (BatchSource(images["a"], images["b"], 12, CPU, with_s_a) for with_s_a in (None, loop))
    return plain, balanced


def test_crops_of_a_have_about_as_much_foreground_as_those_of_b() -> None:
    distances = []
    for source in rich_and_poor():
        generator = torch.Generator().manual_seed(0)
        drawn = [source.draw(8, generator) for _ in range(10)]
        distance = [(found.real_a.mean((1, 2, 3)) - found.real_b.mean((1, 2, 3))).abs() for found in drawn]
        distances.append(torch.cat(distance).mean().item())
    assert distances[1] < distances[0] / 4


def test_masks_belong_to_their_crops() -> None:
    plain, balanced = rich_and_poor()
    found = balanced.draw(6, torch.Generator().manual_seed(0))
    assert found.real_a.shape == found.real_b.shape == (6, 1, 12, 12)
    assert found.masks_a is not None
    assert found.masks_a.dtype == torch.uint8
    assert torch.equal(found.masks_a.float(), found.real_a[:, 0])
    assert plain.draw(6, torch.Generator().manual_seed(0)).masks_a is None


@pytest.mark.parametrize("with_s_a", [False, True])
def test_crops_are_no_larger_than_the_smallest_frame_of_both(with_s_a: bool) -> None:
    large, small = torch.rand(1, 30, 30), torch.rand(1, 9, 30)
    for images_a, images_b in (([large], [large, small]), ([small], [large])):
        masks_a, masks_b = (
            [image[0].round().to(torch.uint8) for image in images] for images in (images_a, images_b)
        )
        loop = SegmenterInTheLoop(GrayIsProbability(), masks_a, masks_b) if with_s_a else None
        source = BatchSource(images_a, images_b, 16, CPU, loop)
        found = source.draw(3, torch.Generator().manual_seed(0))
        assert source.crop_size_px == 9
        assert found.real_a.shape == found.real_b.shape == (3, 1, 9, 9)


def watch(translate: nn.Module, n_steps: int = 60, least: float = 0.5) -> AgreementAlarm:
    """Let an alarm watch one translation for some steps."""
    generator = torch.Generator().manual_seed(0)
    alarm = AgreementAlarm(least)
    for _ in range(n_steps):
        real_b = torch.rand(2, 1, 8, 8, generator=generator)
        alarm.note(LOOP.agreement(real_b, translate(real_b)))
    return alarm


class Inverted(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 1 - images


class Erased(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images * 0


@pytest.mark.parametrize("translate", [Inverted(), Erased()], ids=["inverted", "erased"])
def test_the_alarm_rings_when_objects_are_made_away_with(translate: nn.Module, tmp_path: Path) -> None:
    alarm = watch(translate)
    with pytest.raises(
        TranslationAlarmError, match=rf"at least 0\.5, got 0\.046 at step 60 \({tmp_path}\)\. Bright and dark"
    ) as caught:
        alarm.check(60, tmp_path)
    assert caught.value.exit_code == 1


def test_the_alarm_is_silent_when_nothing_is_changed(tmp_path: Path) -> None:
    alarm = watch(nn.Identity())
    assert float(alarm.average) == 1
    alarm.check(60, tmp_path)


def test_a_single_bad_step_does_not_ring(tmp_path: Path) -> None:
    alarm = watch(Inverted(), n_steps=1)
    assert float(alarm.average) == pytest.approx(0.95)
    alarm.check(1, tmp_path)
    for n_steps, rings in ((13, False), (14, True)):  # 0.95 ** 14 is the first power below one half
        alarm = watch(Inverted(), n_steps=n_steps)
        assert (float(alarm.average) < 0.5) == rings


def test_the_alarm_is_looked_at_at_the_same_steps_however_often_losses_are_written_down(
    tmp_path: Path,
) -> None:
    alarm = watch(Inverted())
    for step in (1, 19, 21, 50):
        alarm.check(step, tmp_path)
    with pytest.raises(TranslationAlarmError, match="at step 40 "):
        alarm.check(40, tmp_path)


def test_an_alarm_that_lets_everything_pass_never_rings(tmp_path: Path) -> None:
    watch(Inverted(), n_steps=500, least=0.0).check(500, tmp_path)


def test_the_alarm_s_state_survives_a_stop(tmp_path: Path) -> None:
    straight, stopped = watch(Inverted(), n_steps=7), AgreementAlarm(0.5)
    save_state(tmp_path / "state.safetensors", straight.state_dict())
    stopped.load_state_dict(load_state(tmp_path / "state.safetensors"))
    for alarm in (straight, stopped):
        alarm.note(torch.tensor(0.25))
    assert torch.equal(straight.average, stopped.average)
    assert float(stopped.average) == pytest.approx(0.95 * 0.95**7 + 0.05 * 0.25)
