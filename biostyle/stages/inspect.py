"""Stage: two folders of images → fingerprints of both domains and a first plan for matching B to A."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from biostyle.artifacts import BuildOptions, build, write_json
from biostyle.checkpoints import load_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.data.sources.folder import find_reference, pair_masks
from biostyle.devices import resolve_device
from biostyle.inference import segment_frame
from biostyle.io.frames import read_frame
from biostyle.io.labels import read_labels
from biostyle.io.pairing import files_by_id
from biostyle.matching.fingerprint import DomainFingerprint, fingerprint_domain
from biostyle.matching.plan import Plan, PlanOverrides, plan_matching
from biostyle.types import NDArray

INSPECTION = "inspection.json"


@dataclass(frozen=True)
class ImageSource:
    """Where the images of a domain are, and its masks where they may be looked at.

    Attributes
    ----------
    images : Path
        A flat folder, or a data set of the Cell Tracking Challenge as delivered.
    masks : Path or None
        A folder of masks or labels, or such a data set.
    """

    images: Path
    masks: Path | None = None


class Inspection(BaseModel):
    """What was found out about two domains.

    Attributes
    ----------
    a, b : DomainFingerprint
        The annotated and the new domain.
    plan : Plan
        How to begin to match B to A.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    a: DomainFingerprint
    b: DomainFingerprint
    plan: Plan


def inspect(
    source_a: ImageSource,
    source_b: ImageSource,
    out: Path,
    *,
    overrides: PlanOverrides,
    segmenter: Path | None = None,
    n_frames: int = 12,
    device: str = "auto",
    options: BuildOptions,
) -> Path:
    """Inspect two domains and keep the result.

    Parameters
    ----------
    source_a, source_b : ImageSource
        The annotated and the new domain.
    out : Path
        Directory to make, with ``inspection.json``.
    overrides : PlanOverrides
        What the user knows better.
    segmenter : Path or None
        Model directory of S_A, for the foreground fraction where there are no masks.
    n_frames : int
        Frames to look at in each domain, evenly spaced.
    device : str
        Where to run the segmenter; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    _choose_frames(source_a, n_frames)  # a wrong folder is named before anything is hashed
    _choose_frames(source_b, n_frames)

    def work(partial: Path) -> None:
        inspection = inspect_domains(
            source_a, source_b, overrides, segmenter=segmenter, n_frames=n_frames, device=device
        )
        write_json(partial / INSPECTION, {"schema": 1, **inspection.model_dump(mode="json")})

    settings = {"overrides": overrides.model_dump(mode="json"), "n_frames": n_frames}
    inputs = {"images_a": source_a.images, "images_b": source_b.images}
    extra = {"masks_a": source_a.masks, "masks_b": source_b.masks, "segmenter": segmenter}
    inputs |= {name: path for name, path in extra.items() if path is not None}
    build(out, "inspect", settings, inputs, work, options)
    return out


def read_inspection(directory: Path) -> Inspection:
    """Read a finished inspection.

    Parameters
    ----------
    directory : Path
        What :func:`inspect` made.

    Returns
    -------
    Inspection
        Both fingerprints and the plan.
    """
    content = json.loads((directory / INSPECTION).read_text(encoding="utf-8"))
    return Inspection.model_validate({key: content[key] for key in Inspection.model_fields})


def inspect_domains(
    source_a: ImageSource,
    source_b: ImageSource,
    overrides: PlanOverrides,
    *,
    segmenter: Path | None = None,
    n_frames: int = 12,
    device: str = "auto",
) -> Inspection:
    """Measure two domains and plan how to match them, without writing anything.

    Parameters
    ----------
    source_a, source_b : ImageSource
        The annotated and the new domain.
    overrides : PlanOverrides
        What the user knows better.
    segmenter : Path or None
        Model directory of S_A, for the foreground fraction where there are no masks.
    n_frames : int
        Frames to look at in each domain, evenly spaced.
    device : str
        Where to run the segmenter.

    Returns
    -------
    Inspection
        Both fingerprints and the plan.

    Raises
    ------
    PairingError
        If a folder holds no image, or no image has a mask.
    ImageError
        If a frame cannot be used.
    MaskError
        If a mask cannot be used.
    CheckpointError
        If the segmenter cannot be loaded.
    """
    predictor = None if segmenter is None else _Predictor(segmenter, device)
    a, b = (_fingerprint(source, n_frames, predictor) for source in (source_a, source_b))
    working_scale_a = 1.0 if predictor is None else predictor.working_scale
    return Inspection(a=a, b=b, plan=plan_matching(a, b, overrides, working_scale_a))


def find_masks(images: Path) -> Path | None:
    """Look for the masks of a data set of the Cell Tracking Challenge.

    Parameters
    ----------
    images : Path
        Folder of images.

    Returns
    -------
    Path or None
        The same folder where it holds ``NN_ST/SEG`` or ``NN_GT/SEG``, else None.
    """
    return images if find_reference(images) else None


class _Predictor:
    """S_A, loaded once."""

    def __init__(self, directory: Path, device: str) -> None:
        model, card = load_model(directory)
        self.preprocessing = Preprocessing.model_validate(card["preprocessing"])
        self.device = resolve_device(device)
        self.model = model.to(self.device).eval()
        self.working_scale = self.preprocessing.working_scale

    def foreground_fraction(self, images: list[NDArray]) -> float:
        """Mean over frames of the fraction of pixels that are not background."""
        masks = (segment_frame(self.model, image, self.preprocessing, self.device) for image in images)
        return float(np.mean([(mask != 0).mean() for mask in masks]))


def _fingerprint(source: ImageSource, n_frames: int, predictor: _Predictor | None) -> DomainFingerprint:
    """Measure one domain; the segmenter stands in where masks are missing."""
    pairs = _choose_frames(source, n_frames)
    images = [read_frame(image) for image, _ in pairs]
    masks = [_read_mask(mask, image) for (_, mask), image in zip(pairs, images, strict=True)]
    found = fingerprint_domain(images, masks)
    if found.foreground_fraction is None and predictor is not None:
        fraction = predictor.foreground_fraction(images)
        found = found.model_copy(update={"foreground_fraction": fraction, "foreground_source": "segmenter"})
    return found


def _choose_frames(source: ImageSource, n_frames: int) -> list[tuple[Path, Path | None]]:
    """Choose evenly spaced frames among those with a mask, or among all without masks."""
    pairs: list[tuple[Path, Path | None]]
    if source.masks is None:
        pairs = [(image, None) for image in files_by_id(source.images, "image").values()]
    else:
        pairs = list(pair_masks(source.images, source.masks))
    n = min(n_frames, len(pairs))
    return [pairs[(2 * i + 1) * len(pairs) // (2 * n)] for i in range(n)]


def _read_mask(path: Path | None, image: NDArray) -> NDArray | None:
    """Read the labels of a frame, where there are any."""
    return None if path is None else read_labels(path, (image.shape[0], image.shape[1]))
