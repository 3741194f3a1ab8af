import signal
from pathlib import Path

import pytest
import torch

from biostyle.errors import ConfigError, InterruptedRunError, SplitError, TrainingError
from biostyle.models.classifier import EfficientNetClassifier, ImageClassifier
from biostyle.training.classifier import ClassifierSettings, train_classifier, vary

CPU = torch.device("cpu")
TINY = ClassifierSettings(n_steps=6, log_every=1, checkpoint_every=4, batch_size=8, precision="float32")
RECORDED_LOSSES = [1.17383, 0.33792, 0.36513]  # of float32 on a CPU, one a step


def fields(n: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """Sharp noise, coarse noise and gray: three classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 3
    noise = torch.rand(n, 3, 32, 32, generator=generator)
    coarse = torch.rand(n, 3, 8, 8, generator=generator).repeat_interleave(4, 2).repeat_interleave(4, 3)
    images = torch.where((labels == 0).view(-1, 1, 1, 1), noise, coarse)
    images[labels == 2] = 0.5
    return (images * 255).to(torch.uint8), labels


def train(
    out: Path, settings: ClassifierSettings = TINY, seed: int = 0, stop_after: int | None = None
) -> ImageClassifier:
    """Train on the fields, and interrupt it if asked to."""

    def on_progress(step: int, n_steps: int, losses: dict[str, float]) -> None:
        if step == stop_after:
            signal.raise_signal(signal.SIGINT)

    out.mkdir(exist_ok=True)
    return train_classifier(*fields(), 3, settings, seed=seed, device=CPU, out=out, on_progress=on_progress)


def weights(model: torch.nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer, to the bit."""
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def test_losses_of_three_steps_are_the_recorded_ones(tmp_path: Path) -> None:
    losses: list[float] = []
    train_classifier(
        *fields(),
        3,
        TINY.model_copy(update={"n_steps": 3}),
        seed=0,
        device=CPU,
        out=tmp_path,
        on_progress=lambda step, n_steps, row: losses.append(row["loss"]),
    )
    assert losses == pytest.approx(RECORDED_LOSSES, abs=1e-3)


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_resumed_run_equals_a_straight_one_bit_for_bit(precision: str, tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"precision": precision})
    straight = train(tmp_path / "straight", settings)
    with pytest.raises(InterruptedRunError, match="step 3 of 6"):
        train(tmp_path / "stopped", settings, stop_after=3)
    assert weights(train(tmp_path / "stopped", settings)) == weights(straight)


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    short = TINY.model_copy(update={"n_steps": 2})
    first = weights(train(tmp_path / "first", short))
    torch.rand(7)  # the caller's random state does not matter
    assert weights(train(tmp_path / "second", short)) == first
    assert weights(train(tmp_path / "third", short, seed=1)) != first


def test_it_learns_what_is_sharp(tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"n_steps": 40, "log_every": 40, "learning_rate": 5e-3})
    classifier = train(tmp_path, settings)
    assert not classifier.training
    images, labels = fields()
    assert (classifier(images.float() / 255).argmax(1) == labels).float().mean() > 0.9


def test_variations_are_exact_and_leave_quality_alone() -> None:
    images = torch.rand(64, 3, 16, 16)
    varied = vary(images, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        varied.flatten(2).sort(dim=2).values, images.flatten(2).sort(dim=2).values
    )  # the very same pixels, elsewhere
    assert not torch.equal(varied, images)
    oblong = torch.rand(8, 3, 16, 20)
    assert vary(oblong, 0.2, torch.Generator().manual_seed(0)).shape == oblong.shape
    coloured = vary(torch.full((50, 3, 2, 2), 0.5), 0.25, torch.Generator().manual_seed(0))
    assert coloured.min() >= 0.4 - 1e-6
    assert coloured.max() <= 0.625 + 1e-6


def test_given_weights_are_the_beginning(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    given = EfficientNetClassifier(3)
    save_file(dict(given.backbone.state_dict()), tmp_path / "weights.safetensors")
    settings = TINY.model_copy(
        update={"architecture": "efficientnet_b0", "n_steps": 1, "learning_rate": 1e-9}
    )
    trained = train_classifier(
        *fields(), 3, settings, seed=0, device=CPU, out=tmp_path, weights=tmp_path / "weights.safetensors"
    )
    name = "features.0.0.weight"
    torch.testing.assert_close(trained.backbone.state_dict()[name], given.backbone.state_dict()[name])


def test_the_small_network_takes_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(ConfigError, match=r"architecture 'small', got .*weights\.safetensors"):
        train_classifier(*fields(), 3, TINY, seed=0, device=CPU, out=tmp_path, weights=path)


def test_a_class_without_images_is_never_predicted(tmp_path: Path) -> None:
    images, labels = fields()
    trained = train_classifier(images, labels.clamp(max=1), 3, TINY, seed=0, device=CPU, out=tmp_path)
    with torch.inference_mode():
        assert 2 not in trained(images.float() / 255).argmax(dim=1)


def test_images_of_one_class_alone_are_refused(tmp_path: Path) -> None:
    images, labels = fields()
    with pytest.raises(SplitError, match=r"at least 2 of 3 classes, got \[24, 0, 0\]"):
        train_classifier(images, labels * 0, 3, TINY, seed=0, device=CPU, out=tmp_path)


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(TrainingError, match="loss must be finite, got nan at step"):
        train(tmp_path, settings)
