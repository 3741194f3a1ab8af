"""DeepLabV3 with a light encoder, for photographs."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from biostyle.errors import CheckpointError

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which encoders are trained on
_RATES = (6, 12, 18)  # the paper's for features at a sixteenth of the resolution
_ENCODER_PREFIXES = ("features.", "backbone.")


class DeepLab(nn.Module):
    """DeepLabV3 [1]_ with a MobileNetV3-Large encoder [2]_, randomly initialised.

    Without the paper's dropout, so that a training depends on its random stream alone.

    Parameters
    ----------
    n_classes : int
        Number of classes K, background included.

    References
    ----------
    .. [1] Chen, Papandreou, Schroff and Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.
       :doi:`10.48550/arXiv.1706.05587`
    .. [2] Howard et al., "Searching for MobileNetV3", ICCV 2019. :doi:`10.1109/ICCV.2019.00140`
    """

    def __init__(self, n_classes: int = 2) -> None:
        from torchvision.models import mobilenet_v3_large
        from torchvision.models.segmentation.deeplabv3 import DeepLabHead

        super().__init__()
        self.arguments = {"n_classes": n_classes}
        # torchvision's dilated encoder: the last stage keeps a sixteenth of the resolution
        self.encoder = mobilenet_v3_large(weights=None, dilated=True).features
        *context, self.head = DeepLabHead(self.encoder[-1].out_channels, n_classes, _RATES)
        self.context = nn.Sequential(*context)
        for module in self.context.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Segment a batch.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Images in [0, 1], of any size, with three channels or one. In training mode N must be 2 at least.

        Returns
        -------
        Tensor of shape (N, K, H, W)
            Unnormalised class scores, float32.
        """
        mean, deviation = (images.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _DEVIATION))
        features = self.context(self.encoder((images - mean) / deviation))
        size = images.shape[-2:]
        return F.interpolate(self.head(features).float(), size=size, mode="bilinear", align_corners=False)

    def load_encoder(self, path: Path) -> None:
        """Start from an encoder that was trained before.

        Parameters
        ----------
        path : Path
            Safetensors file with MobileNetV3-Large, or a DeepLabV3 with that encoder, named as torchvision names them.
            What does not belong to the encoder is not looked at.

        Raises
        ------
        CheckpointError
            If it is no safetensors file, or holds no such encoder.
        """
        try:
            given = load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"weights must be a safetensors file, got {error} ({path}). "
                "Write torchvision's state dict with safetensors.torch.save_file; pickles are not opened."
            ) from error
        known = self.encoder.state_dict()
        weights = {
            name.removeprefix(prefix): tensor
            for name, tensor in given.items()
            for prefix in _ENCODER_PREFIXES
            if name.startswith(prefix)
        }
        wrong = [name for name in known if name not in weights or weights[name].shape != known[name].shape]
        if wrong:
            raise CheckpointError(
                f"weights must hold torchvision's MobileNetV3-Large, got no fitting {wrong[0]} and "
                f"{len(wrong)} of {len(known)} tensors missing ({path}). Point at its state dict, or leave weights out."
            )
        self.encoder.load_state_dict({name: weights[name] for name in known})
