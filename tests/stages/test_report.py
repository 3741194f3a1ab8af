import json
from pathlib import Path

import torch

from biostyle.artifacts import BuildOptions, fingerprint, read_record
from biostyle.stages.report import DomainDirectories, describe_machine, report
from biostyle.stages.select import read_choice

CONFIG = {"seed": 0, "score": {"block_length": 2, "n_resamples": 100}, "report": {"n_panels": 2}}


def directories(run: Path, name: str, translated: bool = True) -> DomainDirectories:
    predictions = run / "predictions" / name
    return DomainDirectories(
        run / "prepared" / name, run / "scores" / name, predictions / "before",
        predictions / read_choice(run / "choice" / name)["chosen"] if translated else None,
        run / "stylizer" / name if translated else run / "segmenter",
        run / "choice" / name if translated else None,
    )  # fmt: skip


def make(run: Path, out: Path, command: str = "biostyle run", **changes: bool) -> Path:
    domains = {
        "nikon": directories(run, "nikon", translated=False), "zeiss": directories(run, "zeiss")
    }  # fmt: skip
    return report(
        domains,
        out,
        title="Two domains",
        pipeline="cell-tracking",
        config=CONFIG,
        command=command,
        published=None,
        options=BuildOptions(**changes),
    )


def test_shows_panels_losses_and_fingerprints(tiny_run: Path, tmp_path: Path) -> None:
    out = make(tiny_run, tmp_path / "report", command="biostyle run with options")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count('<figure class="panel">') == 4
    for words in ("Two domains", "biostyle run with options", describe_machine(), "01_t005", "01_t007"):
        assert words in page
    for name in ("nikon", "zeiss"):
        assert fingerprint(tiny_run / "prepared" / name)[:12] in page
    assert set(read_record(out)["files"]) == {"index.html", "report.md", "scores.csv", "summary.json"}


def test_hands_the_choice_on(tiny_run: Path, tmp_path: Path) -> None:
    out = make(tiny_run, tmp_path / "report")
    domains = json.loads((out / "summary.json").read_text())["domains"]
    choice = read_choice(tiny_run / "choice" / "zeiss")
    for key in ("chosen", "verdict", "reason"):
        assert domains["zeiss"][key] == choice[key]
        assert key not in domains["nikon"]
    assert domains["zeiss"]["candidates"].keys() == choice["candidates"].keys()
    assert (
        fingerprint(tiny_run / "choice" / "zeiss") == (read_record(out)["request"]["inputs"]["zeiss.choice"])
    )


def test_the_command_is_no_reason_to_write_it_again(tiny_run: Path, tmp_path: Path) -> None:
    out = make(tiny_run, tmp_path / "report", command="first")
    make(tiny_run, tmp_path / "report", command="second")
    assert "first" in (out / "index.html").read_text(encoding="utf-8")


def test_describes_the_machine() -> None:
    assert describe_machine().endswith(f", {torch.get_num_threads()} CPU threads")
