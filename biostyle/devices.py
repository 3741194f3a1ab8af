"""Where to compute, and in which precision."""

from __future__ import annotations

from typing import Literal

import torch

from biostyle.errors import ConfigError

Precision = Literal["auto", "bfloat16", "float32"]


def resolve_device(name: str = "auto") -> torch.device:
    """Turn a device name into a device that is there.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        ``auto`` takes the GPU if there is one. ``cuda:1`` and the like name one of several.

    Returns
    -------
    device
        A usable device.

    Raises
    ------
    ConfigError
        If the device is unknown or not there.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device must be auto, cpu or cuda, got {name!r}. Choose one of them.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device must be there, got {name!r} without a CUDA GPU. Use --device cpu.")
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda, got {name!r}. Choose one of them.")
    return device


def autocast(device: torch.device, precision: Precision = "auto") -> torch.autocast:
    """Return the context in which training computes.

    Parameters
    ----------
    device : device
        Where the networks are.
    precision : {"auto", "bfloat16", "float32"}
        ``auto`` takes bfloat16 where the processor or GPU computes in it natively. float16 is not offered: it
        gives NaN in the generator.

    Returns
    -------
    autocast
        A context manager that can be entered again and again.
    """
    if precision == "auto":
        if device.type == "cuda":
            enabled = torch.cuda.is_bf16_supported()
        else:
            enabled = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    else:
        enabled = precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
