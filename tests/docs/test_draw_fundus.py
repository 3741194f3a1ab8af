"""The picture of the page on fundus photographs is the one its script draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]


def test_the_picture_is_what_the_script_draws(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("draw", ROOT / "docs" / "draw_fundus.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(tmp_path / "drawn.png")
    drawn, kept = (np.asarray(Image.open(path)).astype(int) for path in (tmp_path / "drawn.png", script.OUT))
    assert drawn.shape == kept.shape
    assert abs(drawn - kept).mean() < 1
