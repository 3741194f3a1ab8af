"""The names by which checkpoints call architectures."""

from __future__ import annotations

from typing import Any

from torch import nn

from biostyle.errors import CheckpointError
from biostyle.models.classifier import EfficientNetClassifier, SmallClassifier
from biostyle.models.deeplab import DeepLab
from biostyle.models.patch_discriminator import PatchDiscriminator
from biostyle.models.residual_generator import ResidualGenerator
from biostyle.models.residual_unet import ResidualUNet
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.single_object import SingleObject
from biostyle.models.unet import UNet

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "deeplab": DeepLab,
    "efficientnet_classifier": EfficientNetClassifier,
    "patch_discriminator": PatchDiscriminator,
    "residual_generator": ResidualGenerator,
    "residual_unet": ResidualUNet,
    "resnet_generator": ResnetGenerator,
    "single_object": SingleObject,
    "small_classifier": SmallClassifier,
    "unet": UNet,
}


def architecture_name(model: nn.Module) -> str:
    """Return the name a model's architecture is stored under.

    Parameters
    ----------
    model : Module
        An instance of one of the classes in :data:`ARCHITECTURES`.

    Returns
    -------
    str
        Its key in :data:`ARCHITECTURES`.

    Raises
    ------
    CheckpointError
        If the class is not listed.
    """
    for name, architecture in ARCHITECTURES.items():
        if type(model) is architecture:
            return name
    raise CheckpointError(
        f"model must be one of {sorted(ARCHITECTURES)}, got {type(model).__name__}. "
        "List its class in biostyle/models/architectures.py."
    )


def build_model(architecture: str, arguments: dict[str, Any]) -> nn.Module:
    """Build a freshly initialised network.

    Parameters
    ----------
    architecture : str
        A key of :data:`ARCHITECTURES`.
    arguments : dict
        Keyword arguments of its constructor.

    Returns
    -------
    Module
        The network on the CPU, in training mode.

    Raises
    ------
    CheckpointError
        If the name is unknown or the arguments do not fit.
    """
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"architecture must be one of {sorted(ARCHITECTURES)}, got {architecture!r}. "
            "The model was made by another version of biostyle."
        )
    try:
        return ARCHITECTURES[architecture](**arguments)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(
            f"arguments must fit {architecture}, got {arguments} ({error}). "
            "The model was made by another version of biostyle."
        ) from error
