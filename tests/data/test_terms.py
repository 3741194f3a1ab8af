"""Terms are accepted once, and asked again when they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from biostyle.data.manifest import load_manifest
from biostyle.data.terms import require_terms, terms_accepted
from biostyle.errors import OutputError, TermsError


def test_terms_are_remembered(tmp_path: Path) -> None:
    manifest = load_manifest("PhC-C2DH-U373")
    with pytest.raises(
        TermsError, match=r"terms of PhC-C2DH-U373 must be accepted .* fetch PhC-C2DH-U373 --accept-terms"
    ):
        require_terms(manifest, tmp_path, accept=False)
    require_terms(manifest, tmp_path, accept=True)
    require_terms(manifest, tmp_path, accept=False)
    assert terms_accepted(manifest, tmp_path)


def test_changed_terms_are_asked_again(tmp_path: Path) -> None:
    manifest = load_manifest("PhC-C2DH-U373")
    require_terms(manifest, tmp_path, accept=True)
    changed = manifest.model_copy(update={"terms": "Pay."})
    assert not terms_accepted(changed, tmp_path)
    with pytest.raises(TermsError, match="PhC-C2DH-U373"):
        require_terms(changed, tmp_path, accept=False)


def test_an_acceptance_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".terms").touch()
    with pytest.raises(OutputError, match=r"must be writable, got .+ \(.*PhC-C2DH-U373\.txt\)"):
        require_terms(load_manifest("PhC-C2DH-U373"), tmp_path, accept=True)
