"""The page beside an exported model."""

from __future__ import annotations

import json
from pathlib import Path

from biostyle.adapted_model import save_adapted
from biostyle.checkpoints import save_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.exporting.card import cited, model_card
from biostyle.exporting.parts import read_description
from biostyle.models.unet import UNet
from tests.adapted_models import write_adapted

SCORES = {"label_free": 0.9465, "confidence": 0.9288, "agreement": 0.9642, "foreground_fraction": 0.1}


def test_it_says_what_where_from_and_how_good(tmp_path: Path) -> None:
    save_model(
        tmp_path / "segmenter",
        UNet(n_filters=2, depth=1),
        preprocessing=Preprocessing().model_dump(mode="json"),
        training_data={
            "frames": ["A/01_t000", "A/01_t001"],
            "prepared_a": {"fingerprint": "abc", "frames": []},
        },
    )
    decided = {"chosen": "before", "verdict": "don't adapt", "reason": "S_A is at home."}
    save_adapted(None, tmp_path / "segmenter", tmp_path / "model", decided)
    (tmp_path / "model" / "choice.json").write_text(json.dumps({"candidates": {"before": SCORES}}))
    page = model_card(tmp_path / "model", "Call it.")
    assert "Verdict: **don't adapt**" in page
    assert "S_A is at home." in page
    assert "| segmenter | 2 | prepared_a `abc` |" in page
    assert "| candidate | score | confidence | agreement under rotation |\n|---|---|---|---|\n" in page
    assert "| before | 0.946 | 0.929 | 0.964 |" in page or "| before | 0.947 | 0.929 | 0.964 |" in page
    assert "## How to load it\n\nCall it." in page
    assert "10.1007/978-3-319-24574-4_28" in page


def test_what_keeps_one_object_is_a_part_and_its_share_a_score(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model", ("chain", "single_object"))
    scores = {"before": {**SCORES, "singleness": 0.7125}, "matching": {**SCORES, "singleness": 1.0}}
    (directory / "choice.json").write_text(json.dumps({"candidates": scores}))
    page = model_card(directory, "Call it.")
    assert "| single_object | keeps one object of each mask, no weights | single_object |" in page
    assert "| candidate | score | confidence | agreement under rotation | in one object |" in page
    assert "| 0.964 | 1.000 |" in page


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    page = model_card(directory, "Call it.")
    assert "Label-free" not in page
    assert "Verdict" not in page
    assert "Chosen candidate: **test**" in page


def test_papers_are_named_once(tmp_path: Path) -> None:
    parts = read_description(write_adapted(tmp_path / "model"))["parts"]
    assert [doi for _, doi in cited(parts)] == ["10.1109/ICCV.2017.244", "10.1007/978-3-319-24574-4_28"]
