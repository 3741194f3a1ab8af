"""``biostyle data`` as a user types it."""

from __future__ import annotations

import importlib
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from biostyle.cli import cli
from biostyle.cli.data import data
from biostyle.errors import ChecksumError, InterruptedRunError, TermsError

MODULE = importlib.import_module("biostyle.cli.data")  # the package's attribute of that name is the command

MANIFEST = """
name = "Sim-Cells"
title = "Simulated cells"
modality = "simulated"
licence = "CC0"
terms = "Be kind."
access = "open"
homepage = "https://example.org/cells"
citation = "Nobody, 2026"
reader = "cell_tracking"
expects = ["01/t*.tif"]
unpacked_bytes = 1000

[[files]]
name = "cells.zip"
url = "http://127.0.0.1:{port}/cells.zip"
size_bytes = {size}
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a small archive and give the path of its manifest; the cache is in the same folder."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("BIOSTYLE_DATA", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "cells.zip", "w") as opened:
        opened.writestr("01/t000.tif", b"frame")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        path = tmp_path / "sim-cells.toml"
        path.write_text(
            MANIFEST.format(port=server.server_port, size=(tmp_path / "cells.zip").stat().st_size),
            encoding="utf-8",
        )
        yield str(path)
        server.shutdown()
        thread.join()


def run(*args: str, **options: Any) -> Result:
    return CliRunner().invoke(data, args, catch_exceptions=True, **options)


def test_list() -> None:
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "MODALITY", "DOWNLOAD", "ACCESS", "HERE"]
    shown = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert shown["PhC-C2DH-U373"] == ["phase", "contrast", "43", "MB", "open", "no"]
    assert shown["PH2"] == ["dermoscopy", "by", "hand", "registration", "no"]


def test_list_as_json() -> None:
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["PhC-C2DH-U373"]["size_bytes"] == 43_454_399
    assert rows["PhC-C2DH-U373"]["here"] is False


def test_show(tmp_path: Path) -> None:
    out = run("show", "PhC-C2DH-U373", "--data-root", str(tmp_path)).stdout
    assert "pixel size: 0.65 µm" in out
    assert "https://doi.org/10.1038/s41592-023-01879-y" in out
    assert "Cloning is forbidden" in out
    assert f"{tmp_path / 'PhC-C2DH-U373'} [not here yet]" in out


def test_show_as_json() -> None:
    shown = json.loads(run("show", "PhC-C2DH-U373", "--json").stdout)
    assert shown["files"][0]["sha256"].startswith("b18185c1")
    assert (shown["here"], shown["terms_accepted"]) == (False, False)


def test_fetch_and_verify(manifest: str, tmp_path: Path) -> None:
    refused = run("fetch", manifest)
    assert isinstance(refused.exception, TermsError)
    assert "Be kind." in refused.stderr
    fetched = run("fetch", manifest, "--accept-terms")
    assert fetched.exit_code == 0, fetched.exception
    assert fetched.stdout == f"{tmp_path / 'cache' / 'Sim-Cells'}\n"
    assert "Be kind." in fetched.stderr
    again = run("fetch", manifest)
    assert again.stdout == fetched.stdout
    assert again.stderr == "Sim-Cells is complete already; nothing was done.\n"
    assert "[complete]" in run("show", manifest).stdout
    assert "1 files, all as they were" in run("verify", manifest).stdout
    (tmp_path / "cache" / "Sim-Cells" / "01" / "t000.tif").write_bytes(b"FRAME")
    altered = run("verify", manifest)
    assert isinstance(altered.exception, ChecksumError)
    assert "01/t000.tif was altered" in str(altered.exception)


def test_terms_are_asked_for_on_a_terminal(
    manifest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "_is_terminal", lambda stream: stream == "stdin")
    assert isinstance(run("fetch", manifest, input="n\n").exception, TermsError)
    accepted = run("fetch", manifest, input="y\n")
    assert accepted.exit_code == 0, accepted.exception
    assert "Do you accept them?" in accepted.stderr


def test_progress_on_a_terminal(manifest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "_is_terminal", lambda stream: stream == "stderr")
    fetched = run("fetch", manifest, "--accept-terms")
    assert fetched.exit_code == 0, fetched.exception
    assert "downloading cells.zip" in fetched.stderr
    assert "unpacking cells.zip" in fetched.stderr
    assert "cells.zip" not in fetched.stdout


def test_fetch_from_dir(manifest: str, tmp_path: Path) -> None:
    fetched = run(
        "fetch",
        manifest,
        "--accept-terms",
        "--from-dir",
        str(tmp_path),
        "--data-root",
        str(tmp_path / "other"),
    )
    assert fetched.stdout == f"{tmp_path / 'other' / 'Sim-Cells'}\n"


def test_import(manifest: str, tmp_path: Path) -> None:
    imported = run("import", manifest, "--from", str(tmp_path / "cells.zip"))
    assert imported.exit_code == 0, imported.exception
    assert (tmp_path / "cache" / "Sim-Cells" / "01" / "t000.tif").read_bytes() == b"frame"


def test_interrupt(manifest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("biostyle.data.fetch.download", interrupt)
    result = run("fetch", manifest, "--accept-terms")
    assert isinstance(result.exception, InterruptedRunError)
    assert "fetch of Sim-Cells must finish" in str(result.exception)


def test_errors_are_one_line_and_exit_3() -> None:
    result = CliRunner().invoke(cli, ["data", "show", "PhC-C2DH-U37"])
    assert result.exit_code == 3
    assert result.stderr.startswith("ManifestError: data set must be one of CHASE_DB1, ")
    assert "Did you mean 'PhC-C2DH-U373'?" in result.stderr
    assert result.stderr.count("\n") == 1
