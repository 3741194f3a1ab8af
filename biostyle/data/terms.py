"""The terms of a data set: shown, accepted once, asked again when their text changes."""

from __future__ import annotations

from pathlib import Path

from biostyle.data.cache import data_root
from biostyle.data.manifest import Manifest
from biostyle.errors import TermsError
from biostyle.io.atomic import write_atomically


def terms_accepted(manifest: Manifest, root: str | Path | None = None) -> bool:
    """Tell whether the terms, as they read today, were accepted before.

    Parameters
    ----------
    manifest : Manifest
        The data set.
    root : str or Path, optional
        See :func:`data_root`.

    Returns
    -------
    bool
        True where the same text was accepted in this cache.
    """
    note = data_root(root) / ".terms" / f"{manifest.name}.txt"
    return note.is_file() and note.read_text(encoding="utf-8") == manifest.terms


def require_terms(manifest: Manifest, root: Path, accept: bool) -> None:
    """Demand accepted terms, and remember a new acceptance.

    Parameters
    ----------
    manifest : Manifest
        The data set.
    root : Path
        The cache.
    accept : bool
        Whether they are accepted now.

    Raises
    ------
    TermsError
        If they are not accepted, now or earlier.
    OutputError
        If the acceptance cannot be written down.
    """
    if terms_accepted(manifest, root):
        return
    if not accept:
        raise TermsError(
            f"terms of {manifest.name} must be accepted before the download, got no acceptance "
            f"({manifest.homepage}). Read them with `biostyle data show {manifest.name}`, then run "
            f"`biostyle data fetch {manifest.name} --accept-terms`."
        )
    write_atomically(root / ".terms" / f"{manifest.name}.txt", manifest.terms.encode())
