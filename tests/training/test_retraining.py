"""Retraining: pseudo-labels by hand, when they are renewed, and what is left alone."""

from __future__ import annotations

import copy
import signal
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from biostyle.adaptation import freeze
from biostyle.checkpoints import load_state, save_state
from biostyle.errors import InterruptedRunError, SplitError, TrainingError
from biostyle.losses import dice_cross_entropy
from biostyle.models.foreign import open_foreign
from biostyle.models.unet import UNet
from biostyle.training import retraining
from biostyle.training.augmentation import AugmentationSettings
from biostyle.training.retraining import (
    PseudoLabels,
    RetrainSettings,
    average_weights,
    foreground_probs,
    retrain,
    true_probs,
)
from biostyle.training.seeding import seeded
from biostyle.types import NOT_ANNOTATED
from tests.foreign_segmenters import write_torchscript

CPU = torch.device("cpu")
Frames = tuple[list[torch.Tensor], list[torch.Tensor]]
TINY = RetrainSettings(
    n_steps=6,
    n_rounds=2,
    log_every=1,
    sample_every=3,
    checkpoint_every=4,
    crop_size_px=16,
    batch_size=4,
    precision="float32",
)


class GrayIsProbability(nn.Module):
    """A Segmenter whose probability of foreground is the gray value, and nothing in the last row."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        probs = images.clamp(1e-6, 1 - 1e-6)
        logits = torch.cat([torch.zeros_like(probs), torch.logit(probs)], dim=1)
        logits[:, 1, -1] = -20
        return logits


def spots(brightness: float, seed: int, n_frames: int = 3) -> Frames:
    """Squares brighter than their noisy ground, and their masks."""
    generator = torch.Generator().manual_seed(seed)
    images, masks = [], []
    for number in range(n_frames):
        mask = torch.zeros(24, 20, dtype=torch.uint8)
        mask[4 + 2 * number : 14 + 2 * number, 5:13] = 1
        images.append((brightness + 0.4 * mask + 0.1 * torch.rand(24, 20, generator=generator))[None])
        masks.append(mask)
    return images, masks


def taught() -> Frames:
    """Frames of B and a teacher's probabilities that are right but for a doubtful rim."""
    images, masks = spots(0.3, 2)
    probs = [mask.float() * 0.9 for mask in masks]
    for frame in probs:
        frame[:2] = 0.25
    return images, probs


def network() -> UNet:
    with seeded(0):
        return UNet(n_filters=2, depth=1).eval()


def weights(model: nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer, to the bit."""
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def train(
    out: Path,
    settings: RetrainSettings = TINY,
    *,
    segmenter: nn.Module | None = None,
    seed: int = 0,
    stop_after: int | None = None,
    rows: list[dict[str, float]] | None = None,
) -> nn.Module:
    """Retrain on the squares, and interrupt it if asked to."""

    def on_progress(step: int, n_steps: int, losses: dict[str, float]) -> None:
        if rows is not None:
            rows.append(losses)
        if step == stop_after:
            signal.raise_signal(signal.SIGINT)

    out.mkdir(exist_ok=True)
    return retrain(
        segmenter or network(),
        spots(0.1, 1),
        taught(),
        settings,
        seed=seed,
        device=CPU,
        out=out,
        on_progress=on_progress,
    )


def test_what_the_teacher_is_sure_of_is_labelled() -> None:
    probs = torch.tensor([[0.0, 0.15, 0.16], [0.34, 0.35, 1.0]])
    labels = PseudoLabels([torch.zeros(1, 2, 3)], [probs], RetrainSettings())
    assert labels.masks[0].dtype == torch.uint8
    assert labels.masks[0].tolist() == [[0, 0, NOT_ANNOTATED], [NOT_ANNOTATED, 1, 1]]


def test_the_benefit_of_the_doubt_is_the_rarer_one_s() -> None:
    """Where the teacher finds more foreground than background, the doubtful pixels become background."""
    probs = torch.tensor([[1.0, 0.86, 0.85, 0.84], [0.66, 0.64, 0.5, 0.0]])
    labels = PseudoLabels([torch.zeros(1, 2, 4)], [probs], RetrainSettings())
    assert labels.masks[0].tolist() == [[1, 1, 1, NOT_ANNOTATED], [NOT_ANNOTATED, 0, 0, 0]]


def test_what_is_rare_is_decided_once_over_all_frames() -> None:
    full, empty = torch.full((2, 2), 0.9), torch.zeros(6, 2)
    labels = PseudoLabels(
        [torch.full((1, 2, 2), 0.48), torch.full((1, 6, 2), 0.48)], [full, empty], RetrainSettings()
    )
    assert [set(mask.flatten().tolist()) for mask in labels.masks] == [{1}, {0}]
    labels.renew(GrayIsProbability())  # now everything is doubtful, and foreground still rare
    assert labels.masks[1][1:5].flatten().tolist() == [1] * 8


@pytest.mark.parametrize(
    ("doubt", "common", "rare", "weight"),
    [(0.0, 0.5, 0.5, 1.0), (0.1, 0.3, 0.4, 3.0), (0.2, 0.1, 0.3, 9.0), (0.7, 0.1, 0.3, 9.0)],
)
def test_with_less_doubt_labels_come_nearer_to_the_teacher_s_masks(
    doubt: float, common: float, rare: float, weight: float
) -> None:
    settings = RetrainSettings(sure_common=0.1, sure_rare=0.3, largest_weight=9.0, full_doubt=0.2)
    found = settings.in_doubt(doubt)
    assert (found.sure_common, found.sure_rare, found.largest_weight) == pytest.approx((common, rare, weight))
    kept = {"sure_common", "sure_rare", "largest_weight"}
    assert found.model_dump(exclude=kept) == settings.model_dump(exclude=kept)


def test_without_doubt_every_pixel_is_labelled_as_the_teacher_s_mask_has_it() -> None:
    probs = torch.tensor([[0.0, 0.49, 0.51, 1.0, 0.3]])
    for shown, expected in ((probs, [0, 0, 1, 1, 0]), (1 - probs, [1, 1, 0, 0, 1])):
        labels = PseudoLabels([torch.zeros(1, 1, 5)], [shown], RetrainSettings().in_doubt(0.0))
        assert labels.masks[0].tolist() == [expected]


@pytest.mark.parametrize("common", [0, 1])
def test_what_nobody_annotated_stays_so(common: int) -> None:
    truth = torch.tensor([[common, common, common, 1 - common, NOT_ANNOTATED]], dtype=torch.uint8)
    labels = PseudoLabels([torch.zeros(1, 1, 5)], [true_probs(truth)], RetrainSettings().in_doubt(0.0))
    assert torch.equal(labels.masks[0], truth)


@pytest.mark.parametrize(("share", "of_largest"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_the_more_doubt_the_more_a_single_orientation_counts(share: float, of_largest: float) -> None:
    """It finds nothing in the last row of what it is shown: a pixel at the edge is lost in two orientations of eight, in a
    corner in four, in the middle in none."""
    image = torch.full((1, 3, 3), 0.8)
    probs = foreground_probs(GrayIsProbability(), image[None], share)[0, 0]
    kept = torch.tensor([[0.5, 0.75, 0.5], [0.75, 1.0, 0.75], [0.5, 0.75, 0.5]])
    torch.testing.assert_close(probs, 0.8 * (kept + of_largest * (1 - kept)), rtol=0, atol=1e-5)


def test_renewed_labels_are_the_mean_over_all_orientations() -> None:
    image = torch.tensor([[[0.9, 0.9, 0.9], [0.1, 0.9, 0.1], [0.9, 0.9, 0.1]]])
    labels = PseudoLabels([image], [torch.zeros(3, 3)], RetrainSettings())
    labels.renew(GrayIsProbability())
    expected = PseudoLabels(
        [image], [foreground_probs(GrayIsProbability(), image[None])[0, 0]], RetrainSettings()
    )
    assert torch.equal(labels.masks[0], expected.masks[0])
    assert labels.masks[0][1, 1] == 1


def test_labels_are_renewed_in_evaluation_mode_and_without_a_gradient() -> None:
    unet = network().train()
    before = weights(unet)
    labels = PseudoLabels(spots(0.3, 2)[0], [torch.zeros(24, 20)] * 3, TINY)
    labels.renew(unet)
    assert unet.training
    assert weights(unet) == before  # the running means of batch normalisation among them
    assert not foreground_probs(unet, labels.images[0][None]).requires_grad


def test_the_labels_survive_a_stop(tmp_path: Path) -> None:
    images, probs = taught()
    labels, other = PseudoLabels(images, probs, TINY), PseudoLabels(images, [p * 0 for p in probs], TINY)
    save_state(tmp_path / "state.safetensors", labels.state_dict())
    other.load_state_dict(load_state(tmp_path / "state.safetensors"))
    assert all(torch.equal(one, two) for one, two in zip(labels.masks, other.masks, strict=True))


@pytest.mark.parametrize(
    ("n_steps", "n_rounds", "renewals"), [(6, 1, []), (6, 2, [3]), (6, 3, [2, 4]), (2, 2, [1])]
)
def test_labels_are_made_once_a_round(
    n_steps: int, n_rounds: int, renewals: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, float]] = []
    found: list[int] = []
    monkeypatch.setattr(PseudoLabels, "renew", lambda self, segmenter: found.append(len(rows)))
    settings = TINY.model_copy(update={"n_steps": n_steps, "n_rounds": n_rounds, "sample_every": 0})
    train(tmp_path, settings, rows=rows)
    assert found == renewals


@pytest.mark.parametrize(
    ("batch_size", "share_a", "n_a", "n_b"), [(4, 0.5, 2, 2), (4, 0.0, 0, 4), (1, 0.9, 0, 1), (4, 0.99, 3, 1)]
)
def test_a_batch_has_its_share_of_a_and_is_never_without_b(
    batch_size: int, share_a: float, n_a: int, n_b: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of A stay below a gray value of 0.6 and their ground below 0.2; those of B begin at 0.3."""
    seen: list[torch.Tensor] = []

    def remember(images: torch.Tensor, masks: torch.Tensor, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(images.amin(dim=(1, 2, 3)))
        return images, masks

    monkeypatch.setattr(retraining, "augment", remember)
    change = {"n_steps": 2, "batch_size": batch_size, "share_a": share_a, "sample_every": 0}
    train(tmp_path, TINY.model_copy(update=change))
    for darkest in seen:
        assert ((darkest < 0.25).sum(), (darkest > 0.25).sum()) == (n_a, n_b)


def test_the_rarer_foreground_weighs_as_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed: list[float] = []

    def remember(logits: torch.Tensor, target: torch.Tensor, largest_weight: float) -> torch.Tensor:
        weighed.append(largest_weight)
        assert set(target.unique().tolist()) <= {0, 1, NOT_ANNOTATED}
        return dice_cross_entropy(logits, target, largest_weight)

    monkeypatch.setattr(retraining, "dice_cross_entropy", remember)
    train(tmp_path, TINY.model_copy(update={"n_steps": 2, "largest_weight": 7.5}))
    assert weighed == [7.5, 7.5]


def test_balanced_weights_make_another_network(tmp_path: Path) -> None:
    plain, balanced = (
        train(tmp_path / str(weight), TINY.model_copy(update={"largest_weight": weight}))
        for weight in (1.0, 10.0)
    )
    assert weights(plain) != weights(balanced)


def test_s_a_itself_is_left_alone_even_if_it_is_frozen(tmp_path: Path) -> None:
    unet = freeze(network())
    before = weights(unet)
    trained = train(tmp_path, segmenter=unet)
    assert weights(unet) == before
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in unet.parameters())
    assert not unet.training
    assert not trained.training
    after = weights(trained)
    assert all(after[name] != before[name] for name, _ in trained.named_parameters())


@pytest.mark.usefixtures("all_threads")
@pytest.mark.parametrize("stop_after", [1, 3, 5], ids=lambda step: f"stopped at {step}")
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_resumed_run_equals_a_straight_one_bit_for_bit(
    precision: str, stop_after: int, tmp_path: Path
) -> None:
    """Labels are renewed before the fourth step: a stop comes before it, at it, or after it."""
    settings = TINY.model_copy(update={"precision": precision})
    straight = train(tmp_path / "straight", settings)
    with pytest.raises(InterruptedRunError, match=f"step {stop_after} of 6"):
        train(tmp_path / "stopped", settings, stop_after=stop_after)
    resumed = train(tmp_path / "stopped", settings)
    assert weights(resumed) == weights(straight)
    for name in ("history.csv", "samples/step_000006.png"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    short = TINY.model_copy(update={"n_steps": 2})
    first = weights(train(tmp_path / "first", short))
    torch.rand(7)  # the caller's random state does not matter
    assert weights(train(tmp_path / "second", short)) == first
    assert weights(train(tmp_path / "third", short, seed=1)) != first


def test_it_learns_from_the_teacher(tmp_path: Path) -> None:
    gentle = AugmentationSettings(brightness=0, contrast=0, gamma=0, rotation_deg=0, zoom=0, elastic_px=0)
    change = {
        "n_steps": 60,
        "n_rounds": 1,
        "learning_rate": 3e-2,
        "sample_every": 0,
        "log_every": 60,
        "augmentation": gentle,
    }
    trained = train(tmp_path, TINY.model_copy(update=change))
    images, masks = spots(0.3, 2)
    pred, truth = trained(torch.stack(images)).argmax(1).bool(), torch.stack(masks).bool()
    assert 2 * (pred & truth).sum() / (pred.sum() + truth.sum()) > 0.85


def test_both_domains_are_cropped_to_the_smallest_frame(tmp_path: Path) -> None:
    large, small = spots(0.1, 1), ([torch.rand(1, 18, 30)], [torch.rand(18, 30).round().to(torch.uint8)])
    settings = TINY.model_copy(update={"n_steps": 1, "n_rounds": 1, "crop_size_px": 64})
    for number, (annotated_a, (images_b, masks_b)) in enumerate([(large, small), (small, large)]):
        out = tmp_path / str(number)
        out.mkdir()
        probs = [mask.float() for mask in masks_b]
        retrain(network(), annotated_a, (images_b, probs), settings, seed=0, device=CPU, out=out)
        assert (out / "samples" / "step_000001.png").is_file()


@pytest.mark.parametrize("empty", ["a", "b"])
def test_refuses_to_train_without_one_of_the_domains(empty: str, tmp_path: Path) -> None:
    annotated_a, taught_b = (([], []) if empty == name else taught() for name in "ab")
    with pytest.raises(SplitError, match="at least one frame, got 0"):
        retrain(network(), annotated_a, taught_b, TINY, seed=0, device=CPU, out=tmp_path)


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path: Path) -> None:
    images, probs = taught()
    broken = [torch.full_like(image, float("nan")) for image in images]
    with pytest.raises(TrainingError, match=r"loss must be finite, got nan at step 1 \("):
        retrain(network(), spots(0.1, 1), (broken, probs), TINY, seed=0, device=CPU, out=tmp_path)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (
            {"sure_common": 0.4},
            r"sure_common must be below sure_rare = 0\.35, got 0\.4\. Lower it",
        ),
        ({"sure_common": 0.5, "sure_rare": 0.5}, r"below sure_rare = 0\.5, got 0\.5\."),
        ({"n_steps": 2, "n_rounds": 3}, r"n_rounds must be at most n_steps = 2, got 3\. Lower it or train"),
        ({"largest_weight": 0.5}, r"largest_weight\n.*greater than or equal to 1.*input_value=0\.5"),
        ({"full_doubt": 0.0}, r"full_doubt\n.*greater than 0.*input_value=0\.0"),
        ({"share_a": 1.0}, r"share_a\n.*less than 1.*input_value=1\.0"),
        ({"n_rounds": 0}, r"n_rounds\n.*input_value=0"),
        ({"rounds": 2}, r"rounds\n.*not permitted.*input_value=2"),
    ],
)
def test_refuses_settings_that_make_no_training(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        RetrainSettings.model_validate(wrong)


def test_the_mean_of_two_networks_is_halfway_between_them() -> None:
    one, other = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)) for _ in range(2))
    other.train()(torch.rand(2, 1, 8, 8))  # statistics and their count
    first, second = (
        {name: value.clone() for name, value in net.state_dict().items()} for net in (one, other)
    )
    average_weights(one, other)
    for name, value in one.state_dict().items():
        mean = (first[name] + second[name]) / 2 if value.is_floating_point() else first[name]
        torch.testing.assert_close(value, mean)
    assert all(torch.equal(value, second[name]) for name, value in other.state_dict().items())


def test_so_is_that_of_two_copies_of_somebody_else_s(tmp_path: Path) -> None:
    one = copy.deepcopy(open_foreign(str(write_torchscript(tmp_path / "smooth.pt")))).requires_grad_(True)
    other = copy.deepcopy(one)
    with torch.no_grad():
        next(other.parameters()).add_(1.0)
    before = next(one.parameters()).clone()
    average_weights(one, other)
    torch.testing.assert_close(next(one.parameters()), before + 0.5)
