import json
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save_file

from biostyle.artifacts import BuildOptions, fingerprint
from biostyle.checkpoints import load_model
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepared import load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.models.deeplab import DeepLab
from biostyle.progress import SilentProgress
from biostyle.stages.train_segmenter import train_segmenter
from biostyle.training.segmenter import SegmenterSettings
from biostyle.training.threshold import THRESHOLDS, build_in_threshold, choose_threshold
from tests.photographs import CONFIG, PhotographRun
from tests.simulated import read_tree

SETTINGS = SegmenterSettings(
    n_steps=2, n_filters=2, depth=1, crop_size_px=16, batch_size=1, log_every=1, sample_every=2
)


def test_the_model_says_how_it_was_made(tiny_run: Path, tmp_path: Path) -> None:
    prepared = tiny_run / "prepared" / "nikon"
    heard: list[tuple[int, int]] = []

    class Listener(SilentProgress):
        def update(self, step: int, n_steps: int, losses: dict[str, float]) -> None:
            heard.append((step, n_steps))

    options = BuildOptions(progress=Listener())
    preprocessing = Preprocessing(working_scale=0.5)
    out = train_segmenter(
        prepared, tmp_path / "s_a", SETTINGS, preprocessing, seed=3, device="cpu", options=options
    )
    assert heard == [(1, 2), (2, 2)]
    model, card = load_model(out)
    assert (
        model.arguments == {"in_channels": 1, "n_classes": 2, "n_filters": 2, "depth": 1} or model.arguments
    )
    assert card["preprocessing"] == preprocessing.model_dump(mode="json")
    assert card["training_data"] == {
        "prepared_a": fingerprint(prepared),
        "frames": [f"SIM-A/01_t{number:03d}" for number in range(4)],
    }
    request = json.loads((out / "artifact.json").read_text())["request"]
    assert request["settings"]["seed"] == 3
    assert request["settings"]["training"]["n_steps"] == 2
    assert list(pd.read_csv(out / "history.csv")["step"]) == [1, 2]
    assert [path.name for path in (out / "samples").iterdir()] == ["step_000002.png"]
    assert set(read_tree(out)) == {
        "artifact.json", "history.csv", "model.json", "model.safetensors", "samples/step_000002.png"
    }  # fmt: skip


def test_the_best_threshold_on_validation_images_is_built_in(photograph_run: PhotographRun) -> None:
    model, card = load_model(photograph_run.segmenter)
    domain, preprocessing = load_prepared(photograph_run.a), CONFIG.preprocessing
    rows = domain.with_truth("validation")
    assert rows
    assert card["training_data"]["frames"] == domain.global_ids(domain.with_truth("train") + rows)
    assert card["preprocessing"] == {**preprocessing.model_dump(), "working_side_px": 48}
    images, masks = (read(domain, rows, preprocessing) for read in (read_images, read_masks))
    threshold = card["training_data"]["threshold"]
    assert threshold in THRESHOLDS
    build_in_threshold(model, 1 - threshold)  # takes it out again
    assert choose_threshold(model, images, masks, torch.device("cpu")) == threshold


def test_the_weights_to_start_from_are_part_of_the_request(
    photograph_run: PhotographRun, tmp_path: Path
) -> None:
    weights = tmp_path / "encoder.safetensors"
    encoder = DeepLab().encoder.state_dict()
    save_file({f"features.{name}": tensor for name, tensor in encoder.items()}, weights)
    settings = SETTINGS.model_copy(
        update={"architecture": "deeplab", "weights": weights, "n_steps": 1, "batch_size": 2}
    )
    out = train_segmenter(
        photograph_run.a,
        tmp_path / "s_a",
        settings,
        CONFIG.preprocessing,
        seed=0,
        device="cpu",
        options=BuildOptions(),
    )
    assert isinstance(load_model(out)[0], DeepLab)
    request = json.loads((out / "artifact.json").read_text())["request"]
    assert set(request["inputs"]) == {"prepared_a", "weights"}
