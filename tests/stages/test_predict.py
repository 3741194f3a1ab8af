import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from biostyle.adapted_model import load_adapted
from biostyle.artifacts import BuildOptions
from biostyle.checkpoints import load_model
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.data.splits import SplitSettings
from biostyle.errors import CheckpointError, ChecksumError, SplitError
from biostyle.inference import segment_frame
from biostyle.io.frames import read_frame
from biostyle.io.labels import labels_to_mask, read_labels
from biostyle.stages.predict import predict, result_path
from biostyle.stages.prepare import prepare
from biostyle.stages.train_segmenter import train_segmenter
from biostyle.training.segmenter import SegmenterSettings
from tests.simulated import write_tiny_challenge


def test_a_prediction_is_the_composition_of_both_networks(tiny_run: Path) -> None:
    domain = load_prepared(tiny_run / "prepared" / "zeiss")
    segmenter, card = load_model(tiny_run / "segmenter")
    gen_ba, _ = load_model(tiny_run / "candidates" / "zeiss" / "cyclegan" / "gen_ba")
    preprocessing = Preprocessing.model_validate(card["preprocessing"])
    row = domain.frames("test")[1]
    batch = preprocessing.image_batch(domain.read_image(row))
    for name, images in (("before", batch), ("cyclegan", gen_ba(batch))):
        predictions = tiny_run / "predictions" / "zeiss" / name
        path = result_path(predictions, row)
        assert path.relative_to(predictions).as_posix() == "01_RES/mask006.tif"
        labels = read_labels(path)
        assert labels.dtype == np.uint16
        assert np.array_equal(labels_to_mask(labels), segmenter(images).argmax(1)[0].numpy())
    stylized = read_frame(tiny_run / "predictions" / "zeiss" / "cyclegan" / "stylized" / "01_t006.tif")
    assert np.abs(stylized / 65535 - gen_ba(batch)[0, 0].detach().numpy()).max() < 1e-4


def test_frames_without_masks_can_be_segmented(tiny_data: Path, tiny_run: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "SIM-B" / "01_ST")
    settings = DomainSettings(folder="SIM-B", title="B")
    split = SplitSettings(mode="block", test_fraction=0.3, gap_frames=1)
    prepared = prepare(data, tmp_path / "b", settings, split, annotated=False, options=BuildOptions())
    out = predict(
        prepared, tmp_path / "masks", segmenter=tiny_run / "segmenter", device="cpu", options=BuildOptions()
    )
    assert len(list(out.glob("01_RES/mask*.tif"))) == 3


def test_a_test_frame_in_the_training_set_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_tiny_challenge(data, sequences=2)
    settings = DomainSettings(folder="SIM-A", title="A")
    first_to_second, second_to_first = (
        prepare(
            data,
            tmp_path / f"train_on_{train}",
            settings,
            SplitSettings(mode="sequence", train_sequences=(train,), test_sequences=(test,)),
            annotated=True,
            options=BuildOptions(),
        )
        for train, test in (("01", "02"), ("02", "01"))
    )
    segmenter = train_segmenter(
        second_to_first,
        tmp_path / "segmenter",
        SegmenterSettings(n_steps=1, n_filters=1, depth=1, crop_size_px=16, batch_size=1),
        Preprocessing(),
        seed=0,
        device="cpu",
        options=BuildOptions(),
    )
    out = tmp_path / "masks"
    with pytest.raises(SplitError, match=r"got 8 shared: SIM-A/02_t000, .*\. Score on frames"):
        predict(first_to_second, out, segmenter=segmenter, device="cpu", options=BuildOptions())
    assert not out.exists()
    predict(second_to_first, out, segmenter=segmenter, device="cpu", options=BuildOptions())
    assert len(list(out.glob("01_RES/*.tif"))) == 8


def test_a_candidate_of_any_kind_is_predicted_with_as_it_was_put_together(tiny_run: Path) -> None:
    domain = load_prepared(tiny_run / "prepared" / "zeiss")
    row = domain.frames("test")[0]
    for name in ("matching", "cyclegan", "cyclegan_sa", "retrain"):
        predictions = tiny_run / "predictions" / "zeiss" / name
        adapted = load_adapted(tiny_run / "candidates" / "zeiss" / name, tiny_run / "segmenter")
        expected = segment_frame(
            adapted.segmenter, domain.read_image(row), adapted.preprocessing, torch.device("cpu")
        )
        assert np.array_equal(labels_to_mask(read_labels(result_path(predictions, row))), expected), name
        assert len(list((predictions / "stylized").iterdir())) == 3
    assert not (tiny_run / "predictions" / "zeiss" / "before" / "stylized").exists()


def test_frames_a_candidate_was_trained_on_are_not_to_be_scored(run_copy: Path, tmp_path: Path) -> None:
    """Every part says what it was made from, the segmenter as well as what stands before it."""
    candidate = run_copy / "candidates" / "zeiss" / "retrain"
    card = candidate / "segmenter" / "model.json"
    said = json.loads(card.read_text())
    assert {"SIM-A/01_t000", "SIM-B/01_t001"} <= set(said["training_data"]["frames"])
    said["training_data"]["frames"].append("SIM-B/01_t006")
    card.write_text(json.dumps(said))
    (candidate / "artifact.json").unlink()
    with pytest.raises(SplitError, match=r"got 1 shared: SIM-B/01_t006\."):
        predict(
            run_copy / "prepared" / "zeiss",
            tmp_path / "masks",
            segmenter=run_copy / "segmenter",
            candidate=candidate,
            device="cpu",
            options=BuildOptions(),
        )


def test_a_candidate_must_have_the_segmenters_preprocessing(tiny_run: Path, tmp_path: Path) -> None:
    segmenter = train_segmenter(
        tiny_run / "prepared" / "nikon",
        tmp_path / "segmenter",
        SegmenterSettings(n_steps=1, n_filters=1, depth=1, crop_size_px=16, batch_size=1),
        Preprocessing(low_percentile=2.0),
        seed=0,
        device="cpu",
        options=BuildOptions(),
    )
    with pytest.raises(
        CheckpointError,
        match=r"gen_ba must .*low_percentile=2\.0.*stands before, got .*low_percentile=0\.5.*zeiss/cyclegan\)",
    ):
        predict(
            tiny_run / "prepared" / "zeiss",
            tmp_path / "masks",
            segmenter=segmenter,
            candidate=tiny_run / "candidates" / "zeiss" / "cyclegan",
            device="cpu",
            options=BuildOptions(),
        )


def test_altered_weights_are_refused(run_copy: Path, tmp_path: Path) -> None:
    weights = run_copy / "segmenter" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    prepared, out = run_copy / "prepared" / "zeiss", tmp_path / "masks"
    with pytest.raises(ChecksumError, match=r"segmenter/model\.safetensors must be as it was made"):
        predict(prepared, out, segmenter=weights.parent, device="cpu", options=BuildOptions())
    (weights.parent / "artifact.json").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors must have SHA-256 [0-9a-f]{12}…"):
        predict(prepared, out, segmenter=weights.parent, device="cpu", options=BuildOptions())
