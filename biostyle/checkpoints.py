"""Networks and training states on disk, without pickle.

A model is one directory: ``model.safetensors`` (weights) and ``model.json`` (architecture, its arguments,
preprocessing, what it was trained on, SHA-256 of the weights). A foreign segmenter's file lies beside them: ``model.pt``
(TorchScript) or ``model.pt2`` (exported program). A training state is one safetensors file whose header carries everything
that is not a tensor.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save_file
from torch import nn

from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError, ConfigError, OutputError
from biostyle.io.atomic import write_atomically
from biostyle.matching.chain import MatchingChain
from biostyle.models.architectures import architecture_name, build_model
from biostyle.models.foreign import ENTRY, FOREIGN_FILES, ForeignSegmenter
from biostyle.models.foreign_files import build_entry, load_network

WEIGHTS, CARD = "model.safetensors", "model.json"
_CHAIN = "matching_chain"


class _TrainingData(BaseModel, extra="allow"):
    """What a model remembers of its training."""

    frames: list[str]


class _Card(BaseModel, extra="allow"):
    """What ``model.json`` must hold for everybody who reads it."""

    architecture: str
    arguments: dict[str, Any]
    preprocessing: Preprocessing
    training_data: _TrainingData
    weights_sha256: str
    program_sha256: str = ""
    differentiable: bool = True


def save_model(
    directory: Path, model: nn.Module, *, preprocessing: dict[str, Any], training_data: dict[str, Any]
) -> None:
    """Write a network as a model directory.

    Parameters
    ----------
    directory : Path
        Where to; made if it is not there.
    model : Module
        A network of :mod:`biostyle.models`, a foreign segmenter, whose file is copied, or a
        :class:`~biostyle.matching.chain.MatchingChain`, which has no weights.
    preprocessing : dict
        How raw frames become its input; the fields of :class:`~biostyle.data.preprocessing.Preprocessing`.
    training_data : dict
        What it was trained on: ``frames``, a list of frame ids, and fingerprints.

    Raises
    ------
    CheckpointError
        If the state of a foreign network holds something else than tensors.
    OutputError
        If the directory cannot be written.
    """
    architecture = _architecture(model)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        weights = directory / WEIGHTS
        _replace_with(weights, _tensors(model))
        card = {
            "format": "biostyle-model",
            "version": 1,
            "architecture": architecture,
            "arguments": model.arguments,
            "preprocessing": preprocessing,
            "training_data": training_data,
            "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        }
        if isinstance(model, ForeignSegmenter):
            card |= {
                "differentiable": model.differentiable,
                "trainable": any(True for _ in model.parameters()),
            }
            if architecture in FOREIGN_FILES:
                program = Path(model.origin).read_bytes()
                write_atomically(directory / FOREIGN_FILES[architecture], program)
                card["program_sha256"] = hashlib.sha256(program).hexdigest()
        (directory / CARD).write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise _unwritable(directory, error) from error


def load_model(directory: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Read a model directory.

    Parameters
    ----------
    directory : Path
        What :func:`save_model` wrote.

    Returns
    -------
    model : Module
        The network on the CPU, in evaluation mode.
    card : dict
        See :func:`read_card`.

    Raises
    ------
    CheckpointError
        If a file is missing, is not what it should be, or was altered. Pickles are never opened.
    """
    card = read_card(directory)
    checked = _Card.model_validate(card)
    content = _read(directory, WEIGHTS, checked.weights_sha256)
    program = b""
    if checked.architecture in FOREIGN_FILES:
        program = _read(directory, FOREIGN_FILES[checked.architecture], checked.program_sha256)
    architecture, arguments = checked.architecture, checked.arguments
    if architecture == _CHAIN:
        model: nn.Module = _build_chain(arguments, directory)
    elif architecture == ENTRY or architecture in FOREIGN_FILES:
        model = _build_foreign(checked, program, directory)
    else:
        model = build_model(architecture, arguments)
    try:
        model.load_state_dict(load(content))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{WEIGHTS} must hold the weights of {architecture}, got {reason} ({directory}). Train again."
        ) from error
    return model.eval(), card


def read_card(directory: Path) -> dict[str, Any]:
    """Read what a model directory says of itself, without building the model.

    Parameters
    ----------
    directory : Path
        What :func:`save_model` wrote.

    Returns
    -------
    dict
        What ``model.json`` says; always with ``differentiable`` (gradients pass through) and ``trainable`` (there are
        weights to train).

    Raises
    ------
    CheckpointError
        If it is missing or is not what it should be.
    """
    _require(directory, CARD)
    try:
        card = json.loads((directory / CARD).read_text())
        _Card.model_validate(card)
    except (OSError, ValueError) as error:
        reason = repr(error)
        if isinstance(error, ValidationError):
            problem = error.errors(include_url=False)[0]
            reason = f"{'.'.join(map(str, problem['loc'])) or 'another thing'}: {problem['msg']}"
        raise CheckpointError(
            f"{CARD} must describe a biostyle model, got {reason} ({directory}). Restore the file."
        ) from error
    return {"differentiable": True, "trainable": True, **card}


def save_state(path: Path, state: Any) -> None:
    """Write a nested training state in one atomic step.

    Parameters
    ----------
    path : Path
        The file to replace.
    state : object
        Dicts, lists and tuples of tensors, numbers, strings, booleans and None, nested at will. Tuples come back as
        lists.

    Raises
    ------
    OutputError
        If it cannot be written; the file that was there before is then untouched.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = _flatten(state, "", tensors)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace_with(path, tensors, {"tree": json.dumps(tree)})
    except OSError as error:
        raise _unwritable(path, error) from error


def load_state(path: Path) -> Any:
    """Read what :func:`save_state` wrote.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    object
        The state, with its tensors on the CPU.

    Raises
    ------
    CheckpointError
        If it is missing or broken.
    """
    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            tree = json.loads(file.metadata()["tree"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"training state must be readable, got {error} ({path}). Delete the directory and train again."
        ) from error
    return _unflatten(tree, tensors)


def _build_chain(arguments: Any, directory: Path) -> MatchingChain:
    """Build a chain of matching steps."""
    try:
        return MatchingChain(**arguments)
    except (TypeError, ConfigError) as error:
        raise CheckpointError(
            f"arguments must fit {_CHAIN}, got {error} ({directory}). "
            "The model was made by another version of biostyle."
        ) from error


def _build_foreign(card: _Card, program: bytes, directory: Path) -> ForeignSegmenter:
    """Build a foreign segmenter from its file, or by running its factory."""
    if card.architecture == ENTRY:
        origin = str(card.arguments.get("entry"))
        network = build_entry(origin)
    else:
        origin = str(directory / FOREIGN_FILES[card.architecture])
        network = load_network(card.architecture, program, origin)
    multiple = int(card.arguments.get("multiple", 1))
    return ForeignSegmenter(network, card.architecture, origin, multiple, card.differentiable)


def _architecture(model: nn.Module) -> str:
    """Name a model's architecture."""
    if isinstance(model, ForeignSegmenter):
        return model.architecture
    return _CHAIN if isinstance(model, MatchingChain) else architecture_name(model)


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copy a model's state, each tensor for itself; a foreign one may share them, or hold other things."""
    state = model.state_dict()
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"model state must hold tensors alone, got {type(value).__name__} in {name} "
                f"({type(model).__name__}). Export it as TorchScript or with torch.export instead."
            )
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def _read(directory: Path, name: str, expected: str) -> bytes:
    """Read one of a model's files and check that it is as it was written."""
    _require(directory, name)
    try:
        content = (directory / name).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{name} must be readable, got {error.strerror} ({directory}). Check its permissions."
        ) from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise CheckpointError(
            f"{name} must have SHA-256 {expected[:12]}…, got {actual[:12]}… ({directory}). "
            "It was altered or cut short; restore it or train again."
        )
    return content


def _require(directory: Path, name: str) -> None:
    """Refuse a directory that is no model."""
    if not (directory / name).is_file():
        raise CheckpointError(
            f"model must be a directory with {CARD} and its weights, got no {name} ({directory}). "
            "Point at a trained model."
        )


def _flatten(value: Any, key: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Move tensors out of a nested state; what is left fits into JSON."""
    if isinstance(value, torch.Tensor):
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {"tensor": key}
    if isinstance(value, dict):
        return {"dict": [[k, _flatten(v, f"{key}/{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [_flatten(v, f"{key}/{i}", tensors) for i, v in enumerate(value)]
    return value


def _unflatten(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Undo :func:`_flatten`."""
    if isinstance(tree, list):
        return [_unflatten(item, tensors) for item in tree]
    if isinstance(tree, dict):
        if "tensor" in tree:
            return tensors[tree["tensor"]]
        return {k: _unflatten(v, tensors) for k, v in tree["dict"]}
    return tree


def _replace_with(
    path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file beside its final name, then move it there."""
    partial = path.with_name(path.name + ".partial")
    try:
        save_file({k: t.contiguous() for k, t in tensors.items()}, partial, metadata)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _unwritable(path: Path, error: OSError) -> OutputError:
    """Describe a failed write."""
    return OutputError(
        f"output must be writable, got {error.strerror or error} ({path}). Free space or choose another --out."
    )
