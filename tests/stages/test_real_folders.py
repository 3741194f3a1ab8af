"""The challenge's own frames through the files' door: the masks, and so the scores, of the pipeline."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from biostyle.adapted_model import save_adapted
from biostyle.application import load
from biostyle.artifacts import BuildOptions
from biostyle.checkpoints import save_model
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.data.splits import SplitSettings
from biostyle.io.inputs import find_inputs
from biostyle.io.labels import read_labels
from biostyle.matching.chain import MatchingChain
from biostyle.stages.predict import predict, result_path
from biostyle.stages.prepare import prepare
from biostyle.stages.process_files import Task, process_files
from biostyle.stages.train_segmenter import train_segmenter
from biostyle.training.segmenter import SegmenterSettings


@pytest.fixture(scope="module")
def real_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A segmenter trained for seconds on real frames, and a chain before it."""
    root, options = tmp_path_factory.mktemp("real"), BuildOptions()
    if "BIOSTYLE_REAL_DATA" not in os.environ:
        pytest.skip("BIOSTYLE_REAL_DATA is not set")
    data = Path(os.environ["BIOSTYLE_REAL_DATA"]) / "ctc"
    settings = DomainSettings(folder="PhC-C2DH-U373", title="NIKON")
    prepared = prepare(data, root / "prepared", settings, SplitSettings(), annotated=True, options=options)
    training = SegmenterSettings(
        n_steps=60, n_filters=8, depth=3, crop_size_px=64, batch_size=4, learning_rate=4e-3, sample_every=0
    )
    preprocessing = Preprocessing(working_scale=0.5)
    segmenter = train_segmenter(
        prepared, root / "segmenter", training, preprocessing, seed=0, device="cpu", options=options
    )
    chain = MatchingChain([{"kind": "background", "sigma_px": 25}, {"kind": "polarity"}])
    save_model(
        root / "candidate" / "chain",
        chain,
        preprocessing=preprocessing.scaled(0.7).model_dump(mode="json"),
        training_data={"frames": []},
    )
    return root / "candidate", segmenter


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["PhC-C2DH-U373", "DIC-C2DH-HeLa", "Fluo-N2DL-HeLa", "Fluo-N2DH-GOWT1"])
def test_real_folders_give_what_the_pipeline_gives(
    name: str, real_data: Path, real_models: tuple[Path, Path], tmp_path: Path
) -> None:
    candidate, segmenter = real_models
    settings, options = DomainSettings(folder=name, title=name), BuildOptions()
    prepared = prepare(
        real_data / "ctc", tmp_path / "prepared", settings, SplitSettings(), annotated=False, options=options
    )
    domain = load_prepared(prepared)
    rows = domain.frames("test")[:4]
    predict(
        prepared,
        tmp_path / "pipeline",
        segmenter=segmenter,
        candidate=candidate,
        device="cpu",
        options=options,
    )
    save_adapted(candidate, segmenter, tmp_path / "model", {})
    model = load(tmp_path / "model", "cpu")
    frames = [real_data / "ctc" / name / row.sequence / f"t{row.number:03d}.tif" for row in rows]
    files = find_inputs(frames, challenge_names=True)
    for task in (Task("segment", labels="components"), Task("stylize", dtype="uint16")):
        results = process_files(model, files, tmp_path / task.verb, task)
        assert [result.status for result in results] == ["written"] * len(rows)
    seen = 0
    for row in rows:
        theirs = result_path(tmp_path / "pipeline", row)
        ours = tmp_path / "segment" / theirs.relative_to(tmp_path / "pipeline")
        np.testing.assert_array_equal(read_labels(ours), read_labels(theirs))
        seen += int(read_labels(ours).astype(bool).sum())
        stylized = tifffile.imread(tmp_path / "stylize" / theirs.relative_to(tmp_path / "pipeline"))
        kept = tifffile.imread(tmp_path / "pipeline" / "stylized" / f"{row.frame_id}.tif")
        assert np.abs(stylized.astype(int) - kept).max() <= 1
    assert seen > 0
