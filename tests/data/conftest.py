"""A made-up data set, and a real HTTP server on this machine that can misbehave in every way servers do."""

from __future__ import annotations

import hashlib
import io
import random
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from biostyle.data.manifest import Manifest

N_FRAMES = 30


class ArchiveServer(ThreadingHTTPServer):
    """Serves bytes by path; the attributes say how it misbehaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.cuts: list[int] = []  # body bytes after which the next connections break
        self.statuses: list[int] = []  # statuses of the next answers, instead of a body
        self.honours_ranges = True
        self.announces_length = True
        self.content_type = "application/zip"
        self.etag = '"one"'
        self.shift = 0  # how far off the ranges of a confused server are
        self.block_delay_s = 0.0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client goes away."""


class _Handler(BaseHTTPRequestHandler):
    server: ArchiveServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.ranges.append(wanted)
        self.close_connection = True
        body = server.files.get(self.path.lstrip("/"))
        status = server.statuses.pop(0) if server.statuses else 200 if body is not None else 404
        if status >= 400 or body is None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        same = self.headers.get("If-Range", server.etag) == server.etag
        match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        start = int(match[1]) if match and same and server.honours_ranges else 0
        if start and start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            start += server.shift
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Type", server.content_type)
        if server.announces_length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = start + server.cuts.pop(0) if server.cuts else len(body)
        for at in range(start, min(end, len(body)), 16384):
            self.wfile.write(body[at : min(at + 16384, end)])
            time.sleep(server.block_delay_s)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    """Run a server for one test, and retry without long pauses."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("biostyle.data.download._BACKOFF_S", (0.01, 0.01, 0.01, 0.01))
    with ArchiveServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def content() -> dict[str, bytes]:
    """The files of a small data set, laid out as the challenge does; incompressible."""
    source = random.Random(0)
    files = {f"01/t{i:03d}.tif": source.randbytes(12_000) for i in range(N_FRAMES)}
    return files | {"01_GT/SEG/man_seg000.tif": source.randbytes(3_000)}


@pytest.fixture
def archive(content: dict[str, bytes]) -> bytes:
    """The data set as a zip with its name as the top folder."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in content.items():
            opened.writestr(f"Sim-Cells/{name}", data)
        opened.writestr("__MACOSX/Sim-Cells/._01", b"litter")
    return out.getvalue()


@pytest.fixture
def make_manifest(archive: bytes, server: ArchiveServer) -> Callable[..., Manifest]:
    """Make the manifest of the archive, with changes to its only file or, as ``dataset``, to itself."""
    server.files["Sim-Cells.zip"] = archive

    def make(dataset: dict[str, Any] | None = None, **changes: Any) -> Manifest:
        file = {
            "name": "Sim-Cells.zip",
            "url": server.url("Sim-Cells.zip"),
            "size_bytes": len(archive),
            "sha256": hashlib.sha256(archive).hexdigest(),
            "top_folder": "Sim-Cells",
        } | changes
        table = {
            "name": "Sim-Cells",
            "title": "Simulated cells",
            "modality": "simulated",
            "licence": "CC0",
            "terms": "Be kind.",
            "access": "open",
            "homepage": "https://example.org/cells",
            "citation": "Nobody, 2026",
            "reader": "cell_tracking",
            "expects": ["01/t*.tif", "01_GT/SEG/man_seg*.tif"],
            "unpacked_bytes": 400_000,
            "files": [file],
        }
        return Manifest.model_validate(table | (dataset or {}))

    return make
