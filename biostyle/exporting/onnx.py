"""An adapted model, or a part of it, as one ONNX file with its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from biostyle import __version__
from biostyle.errors import CheckpointError, ConfigError
from biostyle.exporting.parts import ModelPart, Part, new_output, open_part, read_description
from biostyle.matching.chain import MatchingChain
from biostyle.models.foreign import ForeignSegmenter

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18  # the first whose Resize has antialiasing
INPUT = "images"
_NOT_IN_ONNX = {
    "histogram": "it searches a table for each frame by itself",
    "fourier": "its spectrum is cut to a window that depends on the size",
}


def export_onnx(directory: Path, out: Path, part: Part = "composition") -> Path:
    """Write an ONNX file.

    Parameters
    ----------
    directory : Path
        What ``biostyle adapt`` leaves in ``OUT/model``.
    out : Path
        File to make.
    part : {"stylizer", "segmenter", "composition"}
        What of it.

    Returns
    -------
    Path
        `out`. The graph takes ``images`` (N, 1, H, W) in [0, 1], float32, of any number and size, and gives ``stylized``
        (N, 1, H, W) in [0, 1] or ``probabilities`` (N, K, H, W). Its ``metadata_props`` say what it was made from and
        how a raw frame becomes its input.

    Raises
    ------
    ConfigError
        If a package is missing.
    CheckpointError
        If the part is not there, or holds something that cannot be exported.
    OutputError
        If `out` exists or cannot be written.
    """
    opened = open_part(directory, part)
    with new_output(out) as folder:
        (folder / out.name).write_bytes(build_onnx(opened, directory).SerializeToString())
    return out


def build_onnx(part: ModelPart, directory: Path) -> ModelProto:
    """Trace a part into an ONNX model.

    Parameters
    ----------
    part : ModelPart
        What :func:`biostyle.exporting.parts.open_part` gives.
    directory : Path
        Where it comes from.

    Returns
    -------
    onnx.ModelProto
        Checked, with metadata, and with no trace of this machine's files.

    Raises
    ------
    ConfigError
        If a package is missing.
    CheckpointError
        If it holds something that cannot be exported.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch needs it
    except ImportError as error:
        raise ConfigError(
            f"onnx and onnxscript must be installed, got {error}. Install biostyle[onnx]."
        ) from error
    _refuse_what_cannot(part.network, directory)
    any_length = torch.export.Dim.DYNAMIC
    example = torch.rand(2, 1, 37, 45, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        program = torch.export.export(
            part.network,
            (example,),
            dynamic_shapes=({0: any_length, 2: any_length, 3: any_length},),
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[part.output],
            verbose=False,
        )
    assert exported is not None
    model = exported.model_proto
    _clean(model)
    onnx.helper.set_model_props(model, _metadata(part, directory))
    onnx.checker.check_model(model, full_check=True)
    return model


def _refuse_what_cannot(network: nn.Module, directory: Path) -> None:
    """Refuse what has no form in ONNX for frames of any size."""
    for module in network.modules():
        if isinstance(module, ForeignSegmenter):
            raise CheckpointError(
                f"segmenter must be a network of biostyle to be exported as ONNX, got {module.architecture} "
                f"({directory}). Export the stylizer, and the segmenter from where it was made."
            )
        for step in module.steps if isinstance(module, MatchingChain) else ():
            if step.kind in _NOT_IN_ONNX:
                raise CheckpointError(
                    f"steps of the chain must have a form in ONNX, got {step.kind}: {_NOT_IN_ONNX[step.kind]} "
                    f"({directory}). Export the segmenter, or use --format huggingface."
                )


def _clean(model: ModelProto) -> None:
    """Name the axes, and take out what tells of this machine: every node remembers the source it came from."""
    graph = model.graph
    for value in graph.input:
        _name_axes(value, {0: "batch", 2: "height", 3: "width"})
    for value in graph.output:
        _name_axes(value, {0: "batch", 2: "height", 3: "width"})
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    for thing in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del thing.metadata_props[:]
        thing.ClearField("doc_string")
    for function in model.functions:
        del function.metadata_props[:], function.value_info[:]
        for node in function.node:
            del node.metadata_props[:]
            node.ClearField("doc_string")


def _name_axes(value: object, names: dict[int, str]) -> None:
    """Give axes of any length a name that means something."""
    for position, name in names.items():
        value.type.tensor_type.shape.dim[position].dim_param = name  # type: ignore[attr-defined]


def _metadata(part: ModelPart, directory: Path) -> dict[str, str]:
    """Say what the graph is, as strings."""
    description = read_description(directory)
    before = part.preprocessing.model_dump(mode="json", exclude={"working_scale"})
    trained = {name: card["training_data"] for name, card in description["parts"].items()}
    return {
        "format": "biostyle-onnx",
        "made_by": f"biostyle {__version__}",
        "part": part.name,
        "preprocessing": json.dumps(before, sort_keys=True),
        "working_scale_inside": json.dumps(part.preprocessing.working_scale),
        "verdict": str(description.get("verdict", "")),
        "training_data": json.dumps(trained, sort_keys=True),
    }
