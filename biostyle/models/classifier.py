"""The networks that judge a whole image: its quality, or its grade."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from biostyle.errors import CheckpointError

# of the photographs that published weights were trained on
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageClassifier(nn.Module):
    """Features, dropout and one linear layer, whose scores are divided by a temperature.

    Networks of this module differ in their features alone.

    Parameters
    ----------
    backbone : Module
        Maps normalised images (N, 3, H, W) to features (N, D).
    n_features : int
        D.
    n_classes : int
        Number of classes K.
    dropout : float
        Share of features dropped while training.
    """

    def __init__(self, backbone: nn.Module, n_features: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(n_features, n_classes)
        self.temperature: torch.Tensor
        self.register_buffer("temperature", torch.ones(()))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Describe each image by the numbers that its class is read from.

        Parameters
        ----------
        images : Tensor of shape (N, 3, H, W)
            In [0, 1].

        Returns
        -------
        Tensor of shape (N, D)
            Features, float32.
        """
        mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
        return self.backbone((images - mean) / std).float()

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Score the classes by the features.

        Parameters
        ----------
        features : Tensor of shape (N, D)
            Of :meth:`features`.

        Returns
        -------
        Tensor of shape (N, K)
            Class scores, float32.
        """
        return self.head(self.dropout(features)).float() / self.temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Score the classes of each image.

        Parameters
        ----------
        images : Tensor of shape (N, 3, H, W)
            In [0, 1], of any size from 32 px on.

        Returns
        -------
        Tensor of shape (N, K)
            Class scores, float32; their softmax is calibrated once the temperature is that of
            :func:`biostyle.metrics.calibration.fit_temperature`.
        """
        return self.score(self.features(images))


class SmallClassifier(ImageClassifier):
    """A few convolutions, for images of 128 to 192 px on a CPU.

    Fine structure is a small part of an image's light, and just that part tells a sharp image from a blurred one:
    besides the image, the network sees it less its local mean, and magnified. The mean of the last features says what is
    everywhere in an image, such as blur; their maximum says what is somewhere, such as a spot.

    Parameters
    ----------
    n_classes : int
        Number of classes.
    n_filters : int
        Filters after the first halving; doubled at each of two more, and kept at a fourth.
    dropout : float
        Share of features dropped while training.
    """

    def __init__(self, n_classes: int = 3, n_filters: int = 24, dropout: float = 0.2) -> None:
        widths = [n_filters, 2 * n_filters, 4 * n_filters, 4 * n_filters]
        layers: list[nn.Module] = [_FineStructure()]
        for n_in, n_out in zip([6, *widths], widths, strict=False):
            layers += [
                nn.Conv2d(n_in, n_out, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.ReLU(inplace=True),
            ]
        super().__init__(nn.Sequential(*layers, _MeanAndMaximum()), 2 * widths[-1], n_classes, dropout)
        self.arguments = {"n_classes": n_classes, "n_filters": n_filters, "dropout": dropout}


class EfficientNetClassifier(ImageClassifier):
    """EfficientNet-B0 with a head of its own.

    Its weights are random; :func:`load_backbone` puts given ones in.

    Parameters
    ----------
    n_classes : int
        Number of classes.
    dropout : float
        Share of features dropped while training.

    References
    ----------
    .. [1] Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019.
       https://arxiv.org/abs/1905.11946
    """

    def __init__(self, n_classes: int = 3, dropout: float = 0.2) -> None:
        from torchvision.models import efficientnet_b0  # slow to import, and needed here alone

        network = efficientnet_b0(weights=None)
        backbone = nn.Sequential()
        backbone.add_module("features", network.features)
        backbone.add_module("pool", nn.AdaptiveAvgPool2d(1))
        backbone.add_module("flatten", nn.Flatten())
        super().__init__(backbone, 1280, n_classes, dropout)
        self.arguments = {"n_classes": n_classes, "dropout": dropout}


class _FineStructure(nn.Module):
    """The image, and beside it what is finer than nine pixels, magnified."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = nn.functional.avg_pool2d(images, 9, stride=1, padding=4, count_include_pad=False)
        return torch.cat([images, 4 * (images - mean)], dim=1)


class _MeanAndMaximum(nn.Module):
    """Mean and maximum of each feature map."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)


def load_backbone(classifier: EfficientNetClassifier, path: Path) -> None:
    """Put given weights below the last layer, which keeps its own.

    Parameters
    ----------
    classifier : EfficientNetClassifier
        Changed in place.
    path : Path
        A safetensors file with the names of torchvision's ``efficientnet_b0``: ``features.0.0.weight`` and so on. Its
        ``classifier`` is ignored.

    Raises
    ------
    CheckpointError
        If it is no safetensors file, or its tensors are not those of the network. Pickles are never opened.
    """
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"weights must be a safetensors file, got {error} ({path}). Convert it with safetensors.torch.save_file."
        ) from error
    wanted = {name: value.shape for name, value in classifier.backbone.state_dict().items()}
    given = {name: value for name, value in weights.items() if not name.startswith("classifier.")}
    if {name: value.shape for name, value in given.items()} != wanted:
        differing = sorted(set(given) ^ set(wanted)) or sorted(
            name for name in wanted if given[name].shape != wanted[name]
        )
        raise CheckpointError(
            f"weights must be those of torchvision's efficientnet_b0, got {len(differing)} tensors that differ, first "
            f"{differing[0]} ({path}). Save that network's state_dict."
        )
    classifier.backbone.load_state_dict(given)
