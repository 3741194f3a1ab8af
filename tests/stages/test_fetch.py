from pathlib import Path

import pytest

from biostyle.artifacts import BuildOptions
from biostyle.data import cache
from biostyle.errors import ManifestError, TermsError
from biostyle.progress import SilentProgress
from biostyle.stages import fetch as stage


class Recorder(SilentProgress):
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, str]] = []

    def stage(self, name: str, status: str) -> None:
        self.stages.append((name, status))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_fetches_what_is_missing_and_returns_the_folder_that_holds_it(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = cache.data_root() / "Fluo-N2DH-GOWT1"
    complete.mkdir()
    (complete / cache.RECORD_NAME).write_text("{}")
    fetched: list[str] = []
    monkeypatch.setattr(stage, "fetch_dataset", fetched.append)
    options = BuildOptions(progress=recorder)
    root = stage.fetch(["Fluo-N2DH-GOWT1", "PhC-C2DH-U373"], options=options)
    assert root == cache.data_root()
    assert fetched == ["PhC-C2DH-U373"]
    assert recorder.stages == [
        ("data/Fluo-N2DH-GOWT1", "up to date"),
        ("data/PhC-C2DH-U373", "fetching"),
    ]


def test_a_dry_run_downloads_nothing(recorder: Recorder) -> None:
    options = BuildOptions(dry_run=True, progress=recorder)
    root = stage.fetch(["PhC-C2DH-U373"], options=options)
    assert recorder.stages == [("data/PhC-C2DH-U373", "would be fetched")]
    assert options.pending == {root / "PhC-C2DH-U373"}
    assert list(root.iterdir()) == []


def test_terms_come_first() -> None:
    with pytest.raises(TermsError, match="PhC-C2DH-U373"):
        stage.fetch(["PhC-C2DH-U373"], options=BuildOptions())


def test_an_unknown_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="PhC-C2DH-U37'"):
        stage.fetch(["PhC-C2DH-U37"], options=BuildOptions())


def test_a_folder_that_is_no_data_set_is_refused_in_a_dry_run_too(recorder: Recorder) -> None:
    options = BuildOptions(dry_run=True, progress=recorder)
    with pytest.raises(ManifestError, match=r"got 'dermoscopy/ph2'\. .* with --data-root\.$"):
        stage.fetch(["dermoscopy/ph2"], options=options)
    assert recorder.stages == []
