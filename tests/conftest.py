"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def isolated_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own data cache out of every test."""
    monkeypatch.setenv("BIOSTYLE_DATA", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def real_data() -> Path:
    """The folder of real images, or a skip when the machine has none."""
    folder = os.environ.get("BIOSTYLE_REAL_DATA")
    if not folder:
        pytest.skip("BIOSTYLE_REAL_DATA is not set")
    return Path(folder)
