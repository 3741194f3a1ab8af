from __future__ import annotations

import json
import re
from pathlib import Path

from biostyle.artifacts import BuildOptions
from biostyle.config import load_config
from biostyle.pipelines import demo
from biostyle.progress import SilentProgress

SHRUNK = (
    "device=cpu",
    "segmenter.n_steps=2",
    "segmenter.n_filters=2",
    "segmenter.crop_size_px=32",
    "cyclegan.n_steps=1",
    "cyclegan.n_filters=2",
    "cyclegan.n_blocks=1",
    "cyclegan.discriminator_n_filters=2",
    "cyclegan.crop_size_px=32",
    "retrain.n_steps=1",
    "retrain.crop_size_px=32",
    "score.n_resamples=100",
)


class Recorder(SilentProgress):
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, str]] = []

    def stage(self, name: str, status: str) -> None:
        self.stages.append((name, status))


def test_simulates_trains_and_reports_and_does_it_once(tmp_path: Path) -> None:
    config = load_config("demo", list(SHRUNK))
    for status in ("making", "up to date"):
        progress = Recorder()
        options = BuildOptions(replace=True, progress=progress)
        report = demo.run(config, tmp_path / "demo", command="biostyle demo", options=options)
        assert report == tmp_path / "demo" / "run" / "report"
        assert progress.stages[0][0] == str(tmp_path / "demo" / "data")
        assert {found for _, found in progress.stages} == {status}
    summary = json.loads((report / "summary.json").read_text())
    assert list(summary["domains"]) == ["microscope_a", "microscope_b"]
    assert summary["domains"]["microscope_b"]["n_scored"] == 6
    assert "after" in summary["domains"]["microscope_b"]
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "Demo: two simulated microscopes" in page
    guide = Path(__file__).parents[2] / "docs" / "your-own-images.md"
    named = set(re.findall(r" biostyle-demo/(\S+)", guide.read_text(encoding="utf-8")))
    assert named == {"run/segmenter", "data/SIM-A", "data/SIM-B"}
    assert all((tmp_path / "demo" / path).is_dir() for path in named)
    assert "0.974" not in page  # the seed work's numbers belong to real microscopes
