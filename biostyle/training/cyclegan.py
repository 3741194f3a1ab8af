"""Learn to translate between two domains from unpaired images."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from pydantic import ConfigDict, Field
from torch import nn

from biostyle.devices import Precision, autocast
from biostyle.errors import ImageError
from biostyle.losses import AdversarialLoss, Reconstruction, adversarial_loss, cycle_loss
from biostyle.models.patch_discriminator import PatchDiscriminator
from biostyle.models.residual_generator import ResidualGenerator
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.training.image_pool import ImagePool
from biostyle.training.schedules import constant_then_linear, set_learning_rate
from biostyle.training.seeding import RandomStream, seeded
from biostyle.training.segmenter_in_the_loop import (
    AgreementAlarm,
    BatchSource,
    SegmenterInTheLoop,
)
from biostyle.training.session import OnProgress, SessionSettings, Stateful, TrainingSession


class StylizerSettings(SessionSettings):
    """Size of the CycleGAN and how it is trained; the defaults are the paper's.

    Attributes
    ----------
    n_filters : int
        Filters of the generators' first layer.
    n_blocks : int
        Residual blocks of the generators.
    decoder : {"transpose", "resize"}
        How the generators enlarge.
    discriminator_n_filters : int
        Filters of the discriminators' first layer.
    discriminator_n_layers : int
        3 for 70 x 70 pixel patches, 2 for 34 x 34.
    adversarial : {"lsgan", "log"}
        The adversarial loss.
    reconstruction : {"l1", "l2"}
        Absolute or squared differences in cycle consistency and identity; generators that begin by changing nothing
        remain so with absolute ones.
    lambda_cycle : float
        Weight of cycle consistency.
    lambda_identity : float
        Weight of the identity loss relative to ``lambda_cycle``: 0 in the seed work, 0.5 in the paper's code.
    pool_size : int
        Images in each replay buffer.
    crop_size_px : int
        Side of the training crops, at the working resolution.
    batch_size : int
        Crops of each domain a step.
    learning_rate : float
        Of Adam, at first.
    beta1, beta2 : float
        Of Adam.
    decay_fraction : float
        Share of the steps over which the learning rate falls linearly to zero.
    precision : {"auto", "bfloat16", "float32"}
        In which training computes.
    residual : bool
        Whether the generators add to their input, and so begin by changing nothing.
    lambda_segmentation : float
        With the segmenter in the loop: weight of its loss on A → B → A against A's masks.
    least_agreement : float
        With the segmenter in the loop: the alarm rings when the masks of translated B agree less than this, as a Dice
        coefficient, with the masks before translation.
    n_starts : int
        With the segmenter in the loop: how often to start, each time with other random numbers, before giving up.
    """

    model_config = ConfigDict(extra="forbid")

    n_steps: int = Field(20_000, ge=1)
    n_filters: int = Field(64, ge=1)
    n_blocks: int = Field(9, ge=0)
    decoder: Literal["transpose", "resize"] = "transpose"
    discriminator_n_filters: int = Field(64, ge=1)
    discriminator_n_layers: int = Field(3, ge=1, le=5)
    adversarial: AdversarialLoss = "lsgan"
    reconstruction: Reconstruction = "l1"
    lambda_cycle: float = Field(10.0, ge=0)
    lambda_identity: float = Field(0.0, ge=0)
    pool_size: int = Field(50, ge=0)
    crop_size_px: int = Field(256, ge=16)
    batch_size: int = Field(1, ge=1)
    learning_rate: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    decay_fraction: float = Field(0.5, ge=0, le=1)
    precision: Precision = "auto"
    residual: bool = False
    lambda_segmentation: float = Field(0.0, ge=0)
    least_agreement: float = Field(0.5, ge=0, le=1)
    n_starts: int = Field(1, ge=1)


class InTheLoopSettings(StylizerSettings):
    """The same with the segmenter in the loop: other defaults for the decoder and for what ties translation to it."""

    decoder: Literal["transpose", "resize"] = "resize"
    reconstruction: Reconstruction = "l2"
    residual: bool = True
    lambda_segmentation: float = Field(1.0, ge=0)


class CycleGAN(NamedTuple):
    """The four networks, named as in the paper's text: ``gen_ba`` maps B to A, ``disc_a`` judges images of A."""

    gen_ab: nn.Module
    gen_ba: nn.Module
    disc_a: PatchDiscriminator
    disc_b: PatchDiscriminator


class Translations(NamedTuple):
    """What the generators made of one batch; all tensors have shape (N, C, H, W) and lie in [0, 1]."""

    fake_a: torch.Tensor
    fake_b: torch.Tensor
    rec_a: torch.Tensor
    rec_b: torch.Tensor
    idt_a: torch.Tensor | None
    idt_b: torch.Tensor | None


def build_cyclegan(
    n_channels: int, settings: StylizerSettings, device: torch.device, n_seen_a: int | None = None
) -> CycleGAN:
    """Build freshly initialised networks.

    Parameters
    ----------
    n_channels : int
        Number of image channels C.
    settings : StylizerSettings
        Sizes.
    device : device
        Where to put them; they are initialised on the CPU, so the same seed gives the same weights anywhere.
    n_seen_a : int or None
        Number of channels that the discriminator of A sees; those of the image by default.

    Returns
    -------
    CycleGAN
        The networks on ``device``.
    """

    def generator() -> nn.Module:
        sizes = settings.n_filters, settings.n_blocks, settings.decoder
        made = (
            ResidualGenerator(n_channels, *sizes)
            if settings.residual
            else ResnetGenerator(n_channels, n_channels, *sizes)
        )
        return made.to(device)

    def discriminator(n_seen: int) -> PatchDiscriminator:
        return PatchDiscriminator(
            n_seen, settings.discriminator_n_filters, settings.discriminator_n_layers
        ).to(device)

    return CycleGAN(
        gen_ab=generator(),
        gen_ba=generator(),
        disc_a=discriminator(n_seen_a or n_channels),
        disc_b=discriminator(n_channels),
    )


def translate(gan: CycleGAN, real_a: torch.Tensor, real_b: torch.Tensor, identity: bool) -> Translations:
    """Translate a batch there and back.

    Parameters
    ----------
    gan : CycleGAN
        The networks.
    real_a, real_b : Tensor of shape (N, C, H, W)
        Images in [0, 1].
    identity : bool
        Whether each generator is also given images of its own target domain. That shares one call with the
        translation, which changes nothing because instance normalisation looks at one image at a time.

    Returns
    -------
    Translations
        Translations, reconstructions and identities.
    """
    if identity:
        fake_b, idt_b = gan.gen_ab(torch.cat([real_a, real_b])).chunk(2)
        fake_a, idt_a = gan.gen_ba(torch.cat([real_b, real_a])).chunk(2)
    else:
        fake_b, idt_b = gan.gen_ab(real_a), None
        fake_a, idt_a = gan.gen_ba(real_b), None
    return Translations(fake_a, fake_b, gan.gen_ba(fake_b), gan.gen_ab(fake_a), idt_a, idt_b)


def generator_losses(
    gan: CycleGAN,
    real_a: torch.Tensor,
    real_b: torch.Tensor,
    made: Translations,
    settings: StylizerSettings,
    loop: SegmenterInTheLoop | None = None,
) -> dict[str, torch.Tensor]:
    """Return the weighted terms the generators minimise.

    Parameters
    ----------
    gan : CycleGAN
        The networks.
    real_a, real_b : Tensor of shape (N, C, H, W)
        Images in [0, 1].
    made : Translations
        What :func:`translate` made of them.
    settings : StylizerSettings
        Weights.
    loop : SegmenterInTheLoop or None
        S_A, where the discriminator of A sees its probabilities beside the image.

    Returns
    -------
    dict of str to Tensor
        Scalars; their sum is the objective (equation 3 of the paper, plus the identity term of its section 5.2).
    """
    shown, kind = loop.show(made.fake_a) if loop else made.fake_a, settings.reconstruction
    losses = {
        "adversarial_a": adversarial_loss(gan.disc_a(shown), True, settings.adversarial),
        "adversarial_b": adversarial_loss(gan.disc_b(made.fake_b), True, settings.adversarial),
        "cycle_a": settings.lambda_cycle * cycle_loss(made.rec_a, real_a, kind),
        "cycle_b": settings.lambda_cycle * cycle_loss(made.rec_b, real_b, kind),
    }
    if made.idt_a is not None and made.idt_b is not None:
        weight = settings.lambda_cycle * settings.lambda_identity
        losses["identity_a"] = weight * cycle_loss(made.idt_a, real_a, kind)
        losses["identity_b"] = weight * cycle_loss(made.idt_b, real_b, kind)
    return losses


def discriminator_loss(
    disc: nn.Module, real: torch.Tensor, fake: torch.Tensor, kind: AdversarialLoss
) -> torch.Tensor:
    """Return half the sum of the losses on real and on translated images.

    Parameters
    ----------
    disc : Module
        A discriminator.
    real : Tensor of shape (N, C, H, W)
        Real images.
    fake : Tensor of shape (N, C, H, W)
        Translated images, detached.
    kind : {"lsgan", "log"}
        The adversarial loss.

    Returns
    -------
    Tensor
        A scalar.
    """
    scores_real, scores_fake = disc(torch.cat([real, fake])).chunk(2)
    return (adversarial_loss(scores_real, True, kind) + adversarial_loss(scores_fake, False, kind)) / 2


def train_cyclegan(
    images_a: list[torch.Tensor],
    images_b: list[torch.Tensor],
    settings: StylizerSettings,
    *,
    seed: int,
    device: torch.device,
    out: Path,
    on_progress: OnProgress | None = None,
    loop: SegmenterInTheLoop | None = None,
) -> CycleGAN:
    """Train a CycleGAN; continue where an interrupted run in ``out`` stopped.

    Parameters
    ----------
    images_a, images_b : list of Tensor of shape (C, H, W)
        Unpaired frames in [0, 1].
    settings : StylizerSettings
        Sizes and training.
    seed : int
        Source of every random choice.
    device : device
        Where to train.
    out : Path
        Directory for history, samples and the state to resume from.
    on_progress : callable or None
        Called with step, number of steps and losses.
    loop : SegmenterInTheLoop or None
        S_A and the masks that tie the translation to the segmentation; None for the method of the paper.

    Returns
    -------
    CycleGAN
        The trained networks on ``device``, in evaluation mode.

    Raises
    ------
    SplitError
        If a domain has no frames.
    ImageError
        If the frames or crops are smaller than the discriminators' strides allow.
    InterruptedRunError
        If it was stopped on request.
    TrainingError
        If a loss is not finite.
    TranslationAlarmError
        If, with the segmenter in the loop, translation makes away with what S_A saw in B.

    References
    ----------
    .. [1] Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
       Networks", ICCV 2017. :doi:`10.1109/ICCV.2017.244`
    """
    source = BatchSource(images_a, images_b, settings.crop_size_px, device, loop)
    smallest = 3 * 2**settings.discriminator_n_layers
    if source.crop_size_px < smallest:
        raise ImageError(
            f"training crops must be at least {smallest} px wide for {settings.discriminator_n_layers} discriminator "
            f"layers, got {source.crop_size_px} px. Use larger frames, or lower discriminator_n_layers."
        )
    with seeded(seed):
        gan = build_cyclegan(len(images_a[0]), settings, device, len(images_a[0]) + 1 if loop else None)
    random, pool_a, pool_b = RandomStream(seed), ImagePool(settings.pool_size), ImagePool(settings.pool_size)
    optimiser_g, optimiser_d = (
        torch.optim.Adam(
            itertools.chain(first.parameters(), second.parameters()),
            settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            fused=True,
        )
        for first, second in ((gan.gen_ab, gan.gen_ba), (gan.disc_a, gan.disc_b))
    )
    latest: dict[str, torch.Tensor] = {}

    def sample() -> list[list[torch.Tensor]]:
        return [
            [latest[name][0] for name in ("real_a", "fake_b", "rec_a")],
            [latest[name][0] for name in ("real_b", "fake_a", "rec_b")],
        ]

    parts: dict[str, Stateful] = {**gan._asdict(), "optimiser_g": optimiser_g, "optimiser_d": optimiser_d}
    alarm = AgreementAlarm(settings.least_agreement)
    parts |= {"random": random, "pool_a": pool_a, "pool_b": pool_b, "alarm": alarm}
    session = TrainingSession(out, settings, parts, sample, on_progress)
    for step in session.steps():
        factor = constant_then_linear(step, settings.n_steps, settings.decay_fraction)
        for optimiser in (optimiser_g, optimiser_d):
            set_learning_rate(optimiser, settings.learning_rate * factor)
        real_a, real_b, masks_a = source.draw(settings.batch_size, random.generator)

        for disc in (gan.disc_a, gan.disc_b):
            disc.requires_grad_(False)
        with autocast(device, settings.precision):
            made = translate(gan, real_a, real_b, identity=settings.lambda_identity > 0)
            losses = generator_losses(gan, real_a, real_b, made, settings, loop)
            if loop and masks_a is not None:
                losses["segmentation"] = settings.lambda_segmentation * loop.loss(made.rec_a, masks_a)
        optimiser_g.zero_grad(set_to_none=True)
        sum(losses.values(), torch.zeros((), device=device)).backward()
        optimiser_g.step()

        for disc in (gan.disc_a, gan.disc_b):
            disc.requires_grad_(True)
        fake_a = pool_a.exchange(made.fake_a.detach(), random.generator)
        shown_b = pool_b.exchange(made.fake_b.detach(), random.generator)
        with autocast(device, settings.precision):
            shown = (loop.show(real_a), loop.show(fake_a)) if loop else (real_a, fake_a)
            losses["discriminator_a"] = discriminator_loss(gan.disc_a, *shown, settings.adversarial)
            losses["discriminator_b"] = discriminator_loss(gan.disc_b, real_b, shown_b, settings.adversarial)
        optimiser_d.zero_grad(set_to_none=True)
        (losses["discriminator_a"] + losses["discriminator_b"]).backward()
        optimiser_d.step()

        if loop:
            losses["agreement"] = loop.agreement(real_b, made.fake_a)
            alarm.note(losses["agreement"])
            alarm.check(step, out)
        session.record(losses)
        latest = {"real_a": real_a, "real_b": real_b, **made._asdict()}
    for network in gan:
        network.eval()
    return gan
