import json
from pathlib import Path

import pandas as pd

from biostyle.artifacts import BuildOptions, fingerprint
from biostyle.checkpoints import load_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.progress import SilentProgress
from biostyle.stages.train_segmenter import train_segmenter
from biostyle.training.segmenter import SegmenterSettings
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
