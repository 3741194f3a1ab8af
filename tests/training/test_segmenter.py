import signal
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from biostyle.errors import InterruptedRunError, SplitError, TrainingError
from biostyle.models.deeplab import DeepLab
from biostyle.models.unet import UNet
from biostyle.training.augmentation import AugmentationSettings
from biostyle.training.segmenter import SegmenterSettings, build_segmenter, train_segmenter

CPU = torch.device("cpu")
TINY = SegmenterSettings(
    n_steps=6,
    log_every=1,
    sample_every=3,
    checkpoint_every=4,
    n_filters=4,
    depth=2,
    crop_size_px=16,
    batch_size=2,
    precision="float32",
)
# of float32 on a CPU, one a step
RECORDED_LOSSES = [1.49528, 1.41322, 1.42316]


def disks(n_frames: int = 3) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Bright disks on a noisy background, and their masks."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(24), torch.arange(32), indexing="ij")
    images, masks = [], []
    for _ in range(n_frames):
        top, left = (torch.rand(2, generator=generator) * 16 + 4).tolist()
        mask = (rows - top) ** 2 + (columns - left) ** 2 < 25
        images.append((mask * 0.6 + torch.rand(24, 32, generator=generator) * 0.4)[None])
        masks.append(mask.to(torch.uint8))
    return images, masks


def train(
    out: Path, settings: SegmenterSettings = TINY, seed: int = 0, stop_after: int | None = None
) -> UNet:
    """Train on the disks, and interrupt it if asked to."""

    def on_progress(step: int, n_steps: int, losses: dict[str, float]) -> None:
        if step == stop_after:
            signal.raise_signal(signal.SIGINT)

    out.mkdir(exist_ok=True)
    return train_segmenter(*disks(), settings, seed=seed, device=CPU, out=out, on_progress=on_progress)


def weights(model: torch.nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer, to the bit."""
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def test_losses_of_three_steps_are_the_recorded_ones(tmp_path: Path) -> None:
    losses: list[float] = []
    train_segmenter(
        *disks(),
        TINY.model_copy(update={"n_steps": 3}),
        seed=0,
        device=CPU,
        out=tmp_path,
        on_progress=lambda step, n_steps, row: losses.append(row["loss"]),
    )
    assert losses == pytest.approx(RECORDED_LOSSES, abs=1e-3)


@pytest.mark.usefixtures("all_threads")
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_resumed_run_equals_a_straight_one_bit_for_bit(precision: str, tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"precision": precision})
    straight = train(tmp_path / "straight", settings)
    with pytest.raises(InterruptedRunError, match="step 3 of 6"):
        train(tmp_path / "stopped", settings, stop_after=3)
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


def test_it_learns_to_find_disks(tmp_path: Path) -> None:
    gentle = AugmentationSettings(brightness=0, contrast=0, gamma=0)
    changes = {
        "n_steps": 60,
        "n_filters": 8,
        "log_every": 60,
        "sample_every": 0,
        "learning_rate": 1e-2,
        "augmentation": gentle,
    }
    settings = TINY.model_copy(update=changes)
    unet = train(tmp_path, settings)
    assert not unet.training
    images, masks = disks()
    pred, truth = unet(torch.stack(images)).argmax(1).bool(), torch.stack(masks).bool()
    f_score = 2 * (pred & truth).sum() / (pred.sum() + truth.sum())
    assert f_score > 0.85


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path: Path) -> None:
    images, masks = disks()
    broken = [torch.full_like(image, float("nan")) for image in images]
    with pytest.raises(TrainingError, match=r"loss must be finite, got nan at step 1 \("):
        train_segmenter(broken, masks, TINY, seed=0, device=CPU, out=tmp_path)


def test_refuses_to_train_on_nothing(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="at least one frame, got 0"):
        train_segmenter([], [], TINY, seed=0, device=CPU, out=tmp_path)


def photographs() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The disks in colour, and of other aspects."""
    images, masks = disks()
    coloured = [torch.cat([image, image * 0.8, image.flip(-1)]) for image in images]
    return [coloured[0][:, :20], *coloured[1:]], [masks[0][:20], *masks[1:]]


@pytest.mark.parametrize("architecture", ["unet", "deeplab"])
def test_trains_on_photographs_of_any_aspect(architecture: str, tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"architecture": architecture, "n_steps": 2, "crop_size_px": 64})
    network = train_segmenter(*photographs(), settings, seed=0, device=CPU, out=tmp_path)
    assert type(network).__name__.lower() == architecture
    assert not network.training
    assert network(torch.rand(1, 3, 21, 30)).shape == (1, 2, 21, 30)
    (tmp_path / "again").mkdir()
    again = train_segmenter(*photographs(), settings, seed=0, device=CPU, out=tmp_path / "again")
    assert weights(again) == weights(network)


def test_starts_from_given_weights(tmp_path: Path) -> None:
    encoder = {f"features.{name}": tensor for name, tensor in DeepLab().encoder.state_dict().items()}
    save_file(encoder, tmp_path / "weights.safetensors")
    settings = SegmenterSettings(architecture="deeplab", weights=tmp_path / "weights.safetensors")
    network = build_segmenter(3, settings)
    assert isinstance(network, DeepLab)
    assert torch.equal(network.encoder[0][0].weight, encoder["features.0.0.weight"])


def test_a_unet_without_weights_is_asked_for_as_ever() -> None:
    assert not {"architecture", "weights"} & SegmenterSettings().request().keys()
    assert SegmenterSettings(architecture="deeplab").request()["architecture"] == "deeplab"


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"weights": "encoder.safetensors"}, r"'unet', got encoder\.safetensors"),
        ({"architecture": "deeplab", "batch_size": 1}, r"'deeplab', got 1"),
        ({"architecture": "transformer"}, "input_value='transformer'"),
    ],
)
def test_refuses_what_does_not_go_together(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        SegmenterSettings.model_validate(wrong)
