"""Read the networks of other people: TorchScript files, exported programs, and factories in Python packages.

Whatever it is, reading it can run somebody's program: read only what you trust. Nothing is unpickled but tensors.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from biostyle.errors import CheckpointError

_EXPORT_REMEDY = (
    "Export it again with dynamic_shapes=({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO},) and an example input of "
    "two images."
)


def load_network(architecture: str, content: bytes, where: str) -> nn.Module:
    """Load the network in a foreign file.

    Parameters
    ----------
    architecture : {"torchscript", "exported_program"}
        What kind of file it is.
    content : bytes
        The file.
    where : str
        Its path, for errors.

    Returns
    -------
    Module
        On the CPU, in evaluation mode.

    Raises
    ------
    CheckpointError
        If it is no such file, would have to be unpickled, or is an exported program of fixed shape.
    """
    try:
        if architecture == "exported_program":
            return _load_exported_program(content, where)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated, and still everywhere
            return torch.jit.load(io.BytesIO(content), map_location="cpu").eval()
    except CheckpointError:
        raise
    except Exception as error:  # both loaders raise what they like on damaged files
        name = {"exported_program": "an exported program (.pt2)", "torchscript": "a TorchScript file"}
        raise CheckpointError(
            f"segmenter must be {name[architecture]}, got {type(error).__name__}: {last_line(error)} ({where}). "
            "Write it with torch.export.save or torch.jit.save; a file of weights alone needs an entry "
            "package.module:factory."
        ) from error


def build_entry(entry: str) -> nn.Module:
    """Import a factory and call it.

    Parameters
    ----------
    entry : str
        ``package.module:factory``; the factory takes no arguments and returns a module.

    Returns
    -------
    Module
        The network on the CPU, in evaluation mode.

    Raises
    ------
    CheckpointError
        If it cannot be imported, fails, or returns something else.
    """
    module, _, factory = entry.partition(":")
    try:
        network = getattr(importlib.import_module(module), factory)()
    except Exception as error:  # the user's own code
        raise CheckpointError(
            f"segmenter entry must be an importable factory without arguments, got {type(error).__name__}: "
            f"{last_line(error)} ({entry}). Install the package, or put its folder on PYTHONPATH."
        ) from error
    if not isinstance(network, nn.Module):
        raise CheckpointError(
            f"segmenter entry must return a torch.nn.Module, got {type(network).__name__} ({entry}). "
            "Return the network."
        )
    return network.cpu().eval()


def last_line(error: Exception) -> str:
    r"""Return what an error says in the end; TorchScript's begin with pages of source.

    Parameters
    ----------
    error : Exception
        Any.

    Returns
    -------
    str
        Its last line, never empty.

    Examples
    --------
    >>> last_line(ValueError("at line 3 of\nforward\nsizes differ"))
    'sizes differ'
    """
    return (str(error).strip() or repr(error)).splitlines()[-1]


def _load_exported_program(content: bytes, where: str) -> nn.Module:
    """Load an exported program without unpickling anything, and refuse one for a single image size."""
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    pickled = [name for name in names if re.search(r"/(opaque_obj|custom_obj|aotinductor/)", name)]
    if pickled or not any(name.endswith("archive_format") for name in names):
        raise CheckpointError(
            "segmenter must be an exported program of tensors alone, in the format of PyTorch 2.8 or later, got "
            f"{pickled or names[:3]} ({where}). Export it again with torch.export.save."
        )
    with _weights_only():
        program = torch.export.load(io.BytesIO(content))
    inputs = [
        node.meta["val"]
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs
    ]
    shapes = [tuple(tensor.shape) for tensor in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise CheckpointError(
            f"segmenter must take one batch (N, 1, H, W), got inputs of shape {shapes} ({where}). {_EXPORT_REMEDY}"
        )
    fixed = [axis for axis in (0, 2, 3) if isinstance(shapes[0][axis], int)]
    if fixed:
        raise CheckpointError(
            f"segmenter must take images of any number and size, got the fixed shape {shapes[0]} ({where}). "
            f"{_EXPORT_REMEDY}"
        )
    return program.module()


@contextmanager
def _weights_only() -> Iterator[None]:
    """Keep PyTorch from unpickling anything but tensors, which its loader of programs otherwise falls back to."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
