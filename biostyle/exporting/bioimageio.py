"""An adapted model as a BioImage.IO package (format 0.5) with ONNX weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import torch
from scipy import ndimage

from biostyle.errors import CheckpointError, ConfigError
from biostyle.exporting.card import cited, model_card
from biostyle.exporting.onnx import INPUT, OPSET, build_onnx
from biostyle.exporting.parts import ModelPart, Part, new_output, open_part, read_description
from biostyle.types import NDArray

_FIRST_PYDANTIC_IT_FAILS_WITH = (2, 14)
_SMALLEST_SIDE_PX = 16
_TEST_SHAPE = (96, 112)
_EPSILON = 1e-10  # added to the span between the percentiles; far below that of any camera
_USAGE = """Raw frames go in (axes batch, channel, y, x); the percentiles below are taken inside the package's preprocessing.

```python
from bioimageio.core import predict

prediction = predict(model="model.zip", inputs={"images": frame[None, None]})  # frame of shape (H, W)
```

## Validation

Segment frames of which there are masks, and compare, for example with `biostyle score`. The test arrays in the package
show only that it computes what it computed when it was made.
"""


@dataclass(frozen=True)
class PackageFacts:
    """What only the maker of a package can say.

    Attributes
    ----------
    name : str
        5 to 64 letters, digits, spaces and "_+-()".
    authors : sequence of str
        At least one name.
    license_id : str
        SPDX identifier, such as "CC-BY-4.0".
    """

    name: str
    authors: Sequence[str]
    license_id: str


def export_bioimageio(directory: Path, out: Path, facts: PackageFacts, part: Part = "composition") -> Path:
    """Write a package.

    Parameters
    ----------
    directory : Path
        What ``biostyle adapt`` leaves in ``OUT/model``.
    out : Path
        Zip file to make.
    facts : PackageFacts
        Name, authors and licence.
    part : {"stylizer", "segmenter", "composition"}
        What of it.

    Returns
    -------
    Path
        `out`: ``rdf.yaml``, weights, a test input with its output, and a page about the model.

    Raises
    ------
    ConfigError
        If a package is missing, or the format refuses `facts`.
    CheckpointError
        If the part is not there, or holds something that cannot be exported.
    OutputError
        If `out` exists or cannot be written.
    """
    save_package = _package_writer()
    opened = open_part(directory, part)
    if opened.preprocessing.scaling != "percentile":
        raise CheckpointError(
            f"preprocessing must scale by percentiles for BioImage.IO, got {opened.preprocessing.scaling} "
            f"({directory}). Use --format onnx."
        )
    with new_output(out) as folder:
        (folder / "weights.onnx").write_bytes(build_onnx(opened, directory).SerializeToString())
        (folder / "README.md").write_text(model_card(directory, _USAGE), encoding="utf-8")
        frame = _test_frame()
        np.save(folder / "test_input.npy", frame)
        np.save(folder / "test_output.npy", _compute(opened, frame))
        described = _describe(folder, opened, facts, read_description(directory))
        save_package(described, output_path=folder / out.name)
    return out


def _package_writer() -> Callable[..., Any]:
    """Import the format, or say what is in its way."""
    try:
        from bioimageio.spec import save_bioimageio_package
    except ImportError as error:
        raise ConfigError(
            f"bioimageio.spec must be installed, got {error}. Install biostyle[bioimageio]."
        ) from error
    if tuple(map(int, pydantic.VERSION.split(".")[:2])) >= _FIRST_PYDANTIC_IT_FAILS_WITH:
        raise ConfigError(
            f"pydantic must be older than 2.14 for bioimageio.spec, got {pydantic.VERSION}. "
            "Install biostyle[bioimageio] into an environment of its own."
        )
    return save_bioimageio_package


def _test_frame() -> NDArray:
    """Make blobs on an uneven background, as a camera would count them; shape (1, 1, H, W)."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=_TEST_SHAPE), 6)
    blobs = 4000 / (1 + np.exp(-40 * (smooth - smooth.mean()) / np.ptp(smooth)))
    return np.round(500 + blobs + rng.normal(0, 50, _TEST_SHAPE)).astype(np.float32)[None, None]


@torch.no_grad()
def _compute(part: ModelPart, frame: NDArray) -> NDArray:
    """Compute the test output with torch, from the raw frame."""
    unit = part.preprocessing.model_copy(update={"working_scale": 1.0}).image_batch(frame[0, 0])
    return part.network(unit).numpy()


def _describe(folder: Path, part: ModelPart, facts: PackageFacts, description: dict[str, Any]) -> Any:
    """Fill in the format's own description."""
    from bioimageio.spec.model import v0_5 as spec

    output = np.load(folder / "test_output.npy", mmap_mode="r")
    channels = ["stylized"] if part.name == "stylizer" else ["background", "foreground"]
    channels += [f"class_{number}" for number in range(len(channels), output.shape[1])]
    settings = part.preprocessing
    scale = spec.ScaleRangeKwargs(
        axes=("channel", "y", "x"),
        min_percentile=settings.low_percentile,
        max_percentile=settings.high_percentile,
        eps=_EPSILON,
    )
    size = spec.ParameterizedSize(min=_SMALLEST_SIDE_PX, step=1)
    given = spec.InputTensorDescr(
        id=INPUT,
        description="A raw frame, one channel, of any gray values.",
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=["gray"]),
            *(spec.SpaceInputAxis(id=axis, size=size) for axis in "yx"),
        ],
        data=spec.IntervalOrRatioDataDescr(type="float32"),
        test_tensor=spec.FileDescr(source=folder / "test_input.npy"),
        preprocessing=[
            spec.ScaleRangeDescr(kwargs=scale),
            spec.ClipDescr(kwargs=spec.ClipKwargs(min=0.0, max=1.0)),
        ],
    )
    result = spec.OutputTensorDescr(
        id=part.output,
        description="On the grid of the frame.",
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=channels),
            *(
                spec.SpaceOutputAxis(id=axis, size=spec.SizeReference(tensor_id=INPUT, axis_id=axis))
                for axis in "yx"
            ),
        ],
        data=spec.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
        test_tensor=spec.FileDescr(source=folder / "test_output.npy"),
    )
    try:
        return spec.ModelDescr(
            name=facts.name,
            description="A segmenter adapted to another kind of microscope images by biostyle.",
            authors=[spec.Author(name=name) for name in facts.authors],
            license=facts.license_id,
            cite=[spec.CiteEntry(text=text, doi=doi) for text, doi in cited(description["parts"])],
            documentation=spec.FileDescr(source=folder / "README.md"),
            tags=["biostyle", "segmentation", "domain-adaptation", "2d", "microscopy"],
            config={"biostyle": json.loads(json.dumps({**description, "parts": list(description["parts"])}))},
            inputs=[given],
            outputs=[result],
            weights=spec.WeightsDescr(
                onnx=spec.OnnxWeightsDescr(
                    source=folder / "weights.onnx",
                    opset_version=OPSET,
                )
            ),
        )
    except pydantic.ValidationError as error:
        problem = error.errors(include_url=False)[0]
        value = str(problem["input"])[:80]
        where = ".".join(map(str, problem["loc"])) or "description"
        raise ConfigError(
            f"{where} must be as BioImage.IO wants it, got {value!r}: {problem['msg']} ({folder.parent}). "
            "Correct --name, --author or --license."
        ) from error
