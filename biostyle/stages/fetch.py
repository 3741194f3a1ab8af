"""Stage: names of data sets → complete folders in the data cache."""

from __future__ import annotations

from pathlib import Path

from biostyle.artifacts import BuildOptions
from biostyle.data.cache import data_root, is_complete
from biostyle.data.fetch import fetch as fetch_dataset
from biostyle.data.manifest import load_manifest
from biostyle.errors import ManifestError


def fetch(names: list[str], *, options: BuildOptions) -> Path:
    """Make sure that data sets are in the cache.

    Parameters
    ----------
    names : list of str
        Data sets, by the names of their manifests.
    options : BuildOptions
        Whom to tell; a dry run downloads nothing.

    Returns
    -------
    Path
        The folder that holds them, one folder a data set.

    Raises
    ------
    ManifestError
        If there is no such data set, in a dry run too.
    TermsError
        If the terms of one were not accepted before.
    """
    for name in names:
        if is_complete(name):
            options.progress.stage(f"data/{name}", "up to date")
            continue
        try:
            load_manifest(name)
        except ManifestError as error:
            raise ManifestError(f"{error} Or give the folder that holds it with --data-root.") from error
        if options.dry_run:
            options.progress.stage(f"data/{name}", "would be fetched")
            options.pending.add(data_root() / name)
        else:
            options.progress.stage(f"data/{name}", "fetching")
            fetch_dataset(name)
    return data_root()
