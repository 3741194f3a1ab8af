import signal
from pathlib import Path

import pytest
import torch

from biostyle.adaptation import AdaptedSegmenter, freeze
from biostyle.errors import ImageError, InterruptedRunError, SplitError, TrainingError, TranslationAlarmError
from biostyle.losses import adversarial_loss
from biostyle.models.unet import UNet
from biostyle.training.cyclegan import (
    CycleGAN,
    StylizerSettings,
    build_cyclegan,
    discriminator_loss,
    generator_losses,
    train_cyclegan,
    translate,
)
from biostyle.training.seeding import seeded
from biostyle.training.segmenter_in_the_loop import SegmenterInTheLoop

CPU = torch.device("cpu")
TINY = StylizerSettings(
    n_steps=6,
    log_every=1,
    sample_every=3,
    checkpoint_every=4,
    n_filters=4,
    n_blocks=1,
    discriminator_n_filters=4,
    discriminator_n_layers=2,
    lambda_identity=0.5,
    pool_size=2,  # full after two steps, so that resuming has to restore it
    crop_size_px=16,
    batch_size=1,
    precision="float32",
)
# of float32 on a CPU, one a step
RECORDED_LOSSES = {
    "adversarial_a": [0.8509, 1.03072, 0.82041],
    "adversarial_b": [0.97608, 0.96883, 0.94708],
    "cycle_a": [5.88657, 5.63156, 5.5893],
    "cycle_b": [4.27812, 4.14405, 4.35674],
    "identity_a": [2.90637, 2.7748, 2.84681],
    "identity_b": [2.08634, 2.11299, 2.15149],
    "discriminator_a": [0.61189, 0.43437, 0.49953],
    "discriminator_b": [0.60557, 0.55483, 0.50488],
}


def frames(brightness: float, seed: int) -> list[torch.Tensor]:
    """Three noisy frames of one channel."""
    generator = torch.Generator().manual_seed(seed)
    return [brightness + 0.5 * torch.rand(1, 20, 28, generator=generator) for _ in range(3)]


def train(
    out: Path, settings: StylizerSettings = TINY, seed: int = 0, stop_after: int | None = None
) -> CycleGAN:
    """Train between dark and bright frames, and interrupt it if asked to."""

    def on_progress(step: int, n_steps: int, losses: dict[str, float]) -> None:
        if step == stop_after:
            signal.raise_signal(signal.SIGINT)

    out.mkdir(exist_ok=True)
    return train_cyclegan(
        frames(0.0, 1), frames(0.5, 2), settings, seed=seed, device=CPU, out=out, on_progress=on_progress
    )


def weights(gan: CycleGAN) -> dict[str, bytes]:
    """Every parameter of the four networks, to the bit."""
    return {
        f"{part}.{name}": tensor.numpy().tobytes()
        for part, network in gan._asdict().items()
        for name, tensor in network.state_dict().items()
    }


@pytest.fixture
def gan() -> CycleGAN:
    with seeded(0):
        return build_cyclegan(1, TINY, CPU)


@pytest.fixture
def batches() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack(frames(0.0, 1))[..., :16, :16], torch.stack(frames(0.5, 2))[..., :16, :16]


def test_losses_of_three_steps_are_the_recorded_ones(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    train_cyclegan(
        frames(0.0, 1),
        frames(0.5, 2),
        TINY.model_copy(update={"n_steps": 3}),
        seed=0,
        device=CPU,
        out=tmp_path,
        on_progress=lambda step, n_steps, row: rows.append(row),
    )
    assert set(rows[0]) == set(RECORDED_LOSSES)
    for name, recorded in RECORDED_LOSSES.items():
        assert [row[name] for row in rows] == pytest.approx(recorded, abs=1e-3), name


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


def test_training_changes_all_four_networks_and_ends_in_evaluation_mode(
    tmp_path: Path, gan: CycleGAN
) -> None:
    trained = train(tmp_path)
    for before, after in zip(gan, trained, strict=True):
        assert not after.training
        assert not torch.equal(before.layers[0].weight, after.layers[0].weight)


def test_merged_generator_calls_equal_separate_ones(
    gan: CycleGAN, batches: tuple[torch.Tensor, torch.Tensor]
) -> None:
    real_a, real_b = batches
    made = translate(gan, real_a, real_b, identity=True)
    expected = {
        "fake_b": gan.gen_ab(real_a),
        "fake_a": gan.gen_ba(real_b),
        "rec_a": gan.gen_ba(gan.gen_ab(real_a)),
        "rec_b": gan.gen_ab(gan.gen_ba(real_b)),
        "idt_a": gan.gen_ba(real_a),
        "idt_b": gan.gen_ab(real_b),
    }
    for name, images in expected.items():
        torch.testing.assert_close(getattr(made, name), images, rtol=1e-5, atol=1e-6, msg=name)
    without = translate(gan, real_a, real_b, identity=False)
    assert without.idt_a is None
    assert without.idt_b is None
    torch.testing.assert_close(without.rec_a, made.rec_a, rtol=1e-5, atol=1e-6)


def test_generator_losses_are_the_weighted_terms_of_the_paper(
    gan: CycleGAN, batches: tuple[torch.Tensor, torch.Tensor]
) -> None:
    real_a, real_b = batches
    made = translate(gan, real_a, real_b, identity=True)
    losses = generator_losses(gan, real_a, real_b, made, TINY)
    assert made.idt_b is not None
    # λ = 10 on images in [-1, 1], which is 20 on images in [0, 1]
    assert losses["cycle_a"].item() == pytest.approx(20 * (made.rec_a - real_a).abs().mean().item(), rel=1e-5)
    assert losses["identity_b"].item() == pytest.approx(
        10 * (made.idt_b - real_b).abs().mean().item(), rel=1e-5
    )
    score = gan.disc_a(made.fake_a)
    assert losses["adversarial_a"].item() == pytest.approx(((score - 1) ** 2).mean().item(), rel=1e-5)
    without = generator_losses(gan, real_a, real_b, translate(gan, real_a, real_b, identity=False), TINY)
    assert set(losses) - set(without) == {"identity_a", "identity_b"}


def test_reconstructions_may_be_squared(gan: CycleGAN, batches: tuple[torch.Tensor, torch.Tensor]) -> None:
    real_a, real_b = batches
    made = translate(gan, real_a, real_b, identity=True)
    squared = TINY.model_copy(update={"reconstruction": "l2"})
    losses = generator_losses(gan, real_a, real_b, made, squared)
    assert made.idt_b is not None
    assert losses["cycle_a"].item() == pytest.approx(
        40 * ((made.rec_a - real_a) ** 2).mean().item(), rel=1e-5
    )
    assert losses["identity_b"].item() == pytest.approx(
        20 * ((made.idt_b - real_b) ** 2).mean().item(), rel=1e-5
    )


@pytest.mark.parametrize("kind", ["lsgan", "log"])
def test_merged_discriminator_call_equals_separate_ones(
    kind: str, gan: CycleGAN, batches: tuple[torch.Tensor, torch.Tensor]
) -> None:
    real, fake = batches
    separate = [
        adversarial_loss(gan.disc_a(images), truth, kind) for images, truth in ((real, True), (fake, False))
    ]
    assert discriminator_loss(gan.disc_a, real, fake, kind).item() == pytest.approx(
        sum(separate).item() / 2, rel=1e-5
    )


def test_a_frozen_segmenter_is_the_same_behind_a_trained_generator(tmp_path: Path) -> None:
    unet = UNet(n_filters=2, depth=1)
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    adapted = AdaptedSegmenter(unet, train(tmp_path).gen_ba)
    assert adapted(torch.stack(frames(0.5, 2))).shape == (3, 2, 20, 28)
    assert all(torch.equal(tensor, before[name]) for name, tensor in unet.state_dict().items())


def test_both_domains_are_cropped_to_the_smallest_frame(tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"n_steps": 1, "crop_size_px": 64})
    small = [torch.rand(1, 14, 30)]
    for number, (images_a, images_b) in enumerate([(small, frames(0.5, 2)), (frames(0.0, 1), small)]):
        out = tmp_path / str(number)
        train_cyclegan(images_a, images_b, settings, seed=0, device=CPU, out=_made(out))
        assert (out / "samples" / "step_000001.png").is_file()


def test_refuses_crops_the_discriminator_cannot_judge(tmp_path: Path) -> None:
    three_layers = TINY.model_copy(update={"discriminator_n_layers": 3})
    with pytest.raises(
        ImageError, match=r"at least 24 px wide for 3 discriminator layers, got 16 px\. Use larger"
    ):
        train_cyclegan(frames(0.0, 1), frames(0.5, 2), three_layers, seed=0, device=CPU, out=tmp_path)
    enough = three_layers.model_copy(update={"n_steps": 1, "crop_size_px": 24})
    images = [torch.rand(1, 24, 24)]
    train_cyclegan(images, images, enough, seed=0, device=CPU, out=tmp_path)


@pytest.mark.parametrize("empty", ["a", "b"])
def test_refuses_to_train_without_one_of_the_domains(empty: str, tmp_path: Path) -> None:
    images_a, images_b = ([] if empty == name else frames(0.0, 1) for name in "ab")
    with pytest.raises(SplitError, match="at least one frame, got 0"):
        train_cyclegan(images_a, images_b, TINY, seed=0, device=CPU, out=tmp_path)


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path: Path) -> None:
    broken = [torch.full((1, 20, 20), float("nan"))]
    with pytest.raises(TrainingError, match=r"\w+ must be finite, got nan at step 1 \("):
        train_cyclegan(broken, frames(0.5, 2), TINY, seed=0, device=CPU, out=tmp_path)


WITH_S_A = TINY.model_copy(
    update={"residual": True, "decoder": "resize", "lambda_segmentation": 1.0, "least_agreement": 0.0}
)


def in_the_loop(seed: int = 0) -> SegmenterInTheLoop:
    """A frozen U-Net, and masks of both domains."""
    with seeded(seed):
        unet = freeze(UNet(n_filters=2, depth=1))
    masks = [torch.zeros(20, 28, dtype=torch.uint8) for _ in range(3)]
    for number, mask in enumerate(masks):
        mask[3 : 12 + number, 4:16] = 1
    return SegmenterInTheLoop(unet, masks, masks)


def train_with_s_a(
    out: Path,
    loop: SegmenterInTheLoop,
    settings: StylizerSettings = WITH_S_A,
    *,
    stop_after: int | None = None,
    rows: list[dict[str, float]] | None = None,
) -> CycleGAN:
    """Train with S_A in the loop, and interrupt it if asked to."""

    def on_progress(step: int, n_steps: int, losses: dict[str, float]) -> None:
        if rows is not None:
            rows.append(losses)
        if step == stop_after:
            signal.raise_signal(signal.SIGINT)

    out.mkdir(exist_ok=True)
    return train_cyclegan(
        frames(0.0, 1),
        frames(0.5, 2),
        settings,
        seed=0,
        device=CPU,
        out=out,
        on_progress=on_progress,
        loop=loop,
    )


def test_with_s_a_in_the_loop_the_discriminator_of_a_sees_one_channel_more() -> None:
    with seeded(0):
        gan = build_cyclegan(1, WITH_S_A, CPU, n_seen_a=2)
    images = torch.rand(1, 1, 16, 16)
    gan.disc_a(torch.cat([images, images], dim=1))
    gan.disc_b(images)
    with pytest.raises(RuntimeError, match="2 channels"):
        gan.disc_a(images)


def test_residual_generators_begin_by_changing_nothing() -> None:
    gan, images = build_cyclegan(1, WITH_S_A, CPU), torch.rand(2, 1, 16, 16)
    for generator in (gan.gen_ab, gan.gen_ba):
        assert torch.equal(generator(images), images)


def test_generators_that_begin_by_changing_nothing_leave_it_with_squares_alone(tmp_path: Path) -> None:
    """The gradient of absolute differences is as large at zero as anywhere, and more than the discriminators offer."""
    settings = TINY.model_copy(update={"residual": True, "n_steps": 60, "learning_rate": 2e-3})
    bright = torch.stack(frames(0.5, 2)).clamp(0, 1)
    darker = {}
    for kind in ("l1", "l2"):
        trained = train(tmp_path / kind, settings.model_copy(update={"reconstruction": kind}))
        with torch.inference_mode():
            darker[kind] = (bright - trained.gen_ba(bright)).mean().item()
    assert abs(darker["l1"]) < 0.005
    assert darker["l2"] > 0.02  # as domain A is


def test_s_a_in_the_loop_is_used_and_left_alone(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    loop = in_the_loop()
    before = {name: tensor.numpy().tobytes() for name, tensor in loop.segmenter.state_dict().items()}
    trained = train_with_s_a(tmp_path / "out", loop, rows=rows)
    assert {name: tensor.numpy().tobytes() for name, tensor in loop.segmenter.state_dict().items()} == before
    assert all(parameter.grad is None for parameter in loop.segmenter.parameters())
    assert set(rows[0]) == {*RECORDED_LOSSES, "segmentation", "agreement"}
    assert rows[0]["agreement"] == 1  # residual generators: nothing is changed in the first step
    assert rows[0]["cycle_a"] == rows[0]["identity_b"] == 0
    images = torch.stack(frames(0.5, 2))
    for generator in (trained.gen_ab, trained.gen_ba):
        assert not torch.equal(generator(images), images)


def test_gradients_reach_both_generators_through_s_a(
    gan: CycleGAN, batches: tuple[torch.Tensor, ...]
) -> None:
    """Once through the reconstruction, and once through what the discriminator of A is shown."""
    loop, (real_a, real_b) = in_the_loop(), batches
    made = translate(gan, real_a, real_b, identity=False)
    masks = torch.ones(len(real_a), 16, 16, dtype=torch.uint8)
    loop.loss(made.rec_a, masks).backward()
    for generator in (gan.gen_ab, gan.gen_ba):
        for name, parameter in generator.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.ndim == 1 or parameter.grad.abs().sum() > 0, name
    gan.gen_ba.zero_grad()
    loop.show(translate(gan, real_a, real_b, identity=False).fake_a)[:, 1].sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in gan.gen_ba.parameters() if parameter.ndim > 1)


def test_the_segmentation_loss_moves_the_generators(tmp_path: Path) -> None:
    without, with_it = (
        train_with_s_a(
            tmp_path / str(weight), in_the_loop(), WITH_S_A.model_copy(update={"lambda_segmentation": weight})
        )
        for weight in (0.0, 1.0)
    )
    assert weights(without) != weights(with_it)


@pytest.mark.usefixtures("all_threads")
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_with_s_a_in_the_loop_a_resumed_run_equals_a_straight_one(precision: str, tmp_path: Path) -> None:
    settings = WITH_S_A.model_copy(update={"precision": precision})
    straight = train_with_s_a(tmp_path / "straight", in_the_loop(), settings)
    with pytest.raises(InterruptedRunError, match="step 3 of 6"):
        train_with_s_a(tmp_path / "stopped", in_the_loop(), settings, stop_after=3)
    resumed = train_with_s_a(tmp_path / "stopped", in_the_loop(), settings)
    assert weights(resumed) == weights(straight)
    for name in ("history.csv", "samples/step_000006.png"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


class BrightIsForeground(torch.nn.Module):
    """A Segmenter that calls bright pixels foreground."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(images), 20 * (images - 0.75)], dim=1)


def test_the_alarm_stops_a_training_that_makes_away_with_the_objects(tmp_path: Path) -> None:
    """Frames of A are too dark for any foreground; plain generators begin anywhere, and objects of B vanish."""
    loop = SegmenterInTheLoop(BrightIsForeground(), in_the_loop().masks_a, in_the_loop().masks_b)
    settings = WITH_S_A.model_copy(
        update={"residual": False, "n_steps": 40, "least_agreement": 0.7, "sample_every": 0}
    )
    rows: list[dict[str, float]] = []
    with pytest.raises(TranslationAlarmError, match=r"at least 0\.7, got 0\.\d{3} at step \d+ \("):
        train_with_s_a(tmp_path / "rings", loop, settings, rows=rows)
    assert len(rows) < 40
    train_with_s_a(tmp_path / "silent", loop, settings.model_copy(update={"least_agreement": 0.0}))


def _made(directory: Path) -> Path:
    """Make a directory."""
    directory.mkdir()
    return directory
