import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biostyle.artifacts import BuildOptions, fingerprint, read_record
from biostyle.io.labels import read_labels, write_labels
from biostyle.stages.report import DomainDirectories, describe_machine, report
from biostyle.stages.select import read_choice

CONFIG = {"seed": 0, "score": {"block_length": 2, "n_resamples": 100}, "report": {"n_panels": 2}}


def directories(run: Path, name: str, translated: bool = True) -> DomainDirectories:
    predictions = run / "predictions" / name
    return DomainDirectories(
        run / "prepared" / name, run / "scores" / name, predictions / "before",
        predictions / read_choice(run / "candidates" / name / "choice")["chosen"] if translated else None,
        run / "candidates" / name / "cyclegan" if translated else run / "segmenter",
        run / "candidates" / name / "choice" if translated else None,
    )  # fmt: skip


def make(
    run: Path,
    out: Path,
    command: str = "biostyle run",
    *,
    zeiss: DomainDirectories | None = None,
    config: dict[str, Any] | None = None,
    **changes: bool,
) -> Path:
    domains = {
        "nikon": directories(run, "nikon", translated=False),
        "zeiss": zeiss or directories(run, "zeiss"),
    }
    return report(
        domains,
        out,
        title="Two domains",
        pipeline="cell-tracking",
        config=CONFIG | (config or {}),
        command=command,
        published=None,
        options=BuildOptions(**changes),
    )


def predict_square(run: Path, out: Path, side_px: int) -> Path:
    """Predictions whose every mask is one square."""
    shutil.copytree(run / "predictions" / "zeiss" / "before", out)
    (out / "artifact.json").unlink()
    for path in (out / "01_RES").iterdir():
        mask = np.zeros(read_labels(path).shape, np.uint8)
        mask[:side_px, :side_px] = 1
        write_labels(path, mask)
    return out


def flags(report: Path) -> dict[str, dict[str, Any]]:
    domains = json.loads((report / "summary.json").read_text())["domains"]
    assert "flags" not in domains["nikon"]
    return {flag["frame"]: flag for flag in domains["zeiss"]["flags"]}


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
    choice = read_choice(tiny_run / "candidates" / "zeiss" / "choice")
    for key in ("chosen", "verdict", "reason"):
        assert domains["zeiss"][key] == choice[key]
        assert key not in domains["nikon"]
    assert domains["zeiss"]["candidates"].keys() == choice["candidates"].keys()
    assert (
        fingerprint(tiny_run / "candidates" / "zeiss" / "choice")
        == (read_record(out)["request"]["inputs"]["zeiss.choice"])
    )


def test_the_command_is_no_reason_to_write_it_again(tiny_run: Path, tmp_path: Path) -> None:
    out = make(tiny_run, tmp_path / "report", command="first")
    make(tiny_run, tmp_path / "report", command="second")
    assert "first" in (out / "index.html").read_text(encoding="utf-8")


def test_describes_the_machine() -> None:
    assert describe_machine().endswith(f", {torch.get_num_threads()} CPU threads")


def test_the_chosen_mask_is_compared_with_others_frame_by_frame(tiny_run: Path, tmp_path: Path) -> None:
    masks = {side: predict_square(tiny_run, tmp_path / str(side), side) for side in (0, 20, 30)}
    zeiss = replace(directories(tiny_run, "zeiss"), before=masks[0], after=masks[20], deterministic=masks[30])
    found = flags(make(tiny_run, tmp_path / "report", zeiss=zeiss))
    assert list(found) == ["01_t005", "01_t006", "01_t007"]
    assert found["01_t006"] == {
        "frame": "01_t006",
        "n_objects_before": 0,
        "n_objects_after": 1,
        "vanished": 0,
        "appeared": 1,
        "fraction_before": 0.0,
        "fraction": 400 / (72 * 80),
        "flagged": [
            "1 of 1 objects appeared",
            "foreground fraction 0.069 instead of 0.000",
            "against matching only: foreground fraction 0.069 instead of 0.156",
        ],
    }
    alone = replace(zeiss, before=masks[20], deterministic=masks[20])
    found = flags(make(tiny_run, tmp_path / "unchanged", zeiss=alone))
    assert found["01_t006"]["flagged"] == []


@pytest.mark.parametrize(("factor", "n_reasons"), [(1.0, 1), (100.0, 0)])
def test_fractions_are_judged_by_the_masks_of_a(
    factor: float, n_reasons: int, tiny_run: Path, tmp_path: Path
) -> None:
    small = predict_square(tiny_run, tmp_path / "small", 10)
    zeiss = replace(directories(tiny_run, "zeiss"), before=small, after=small)
    config = {"domain_a": "nikon", "report": {"n_panels": 0, "flags": {"fraction_factor": factor}}}
    found = flags(make(tiny_run, tmp_path / "report", zeiss=zeiss, config=config))
    assert len(found["01_t005"]["flagged"]) == n_reasons
    assert "is outside the plausible" in "".join(found["01_t005"]["flagged"]) or not n_reasons


def test_a_domain_is_called_what_the_configuration_calls_it(tiny_run: Path, tmp_path: Path) -> None:
    out = make(tiny_run, tmp_path / "report", config={"domains": {"zeiss": {"title": "Renamed"}}})
    page = (out / "index.html").read_text(encoding="utf-8")
    assert '<th scope="col">Renamed</th>' in page
    assert '<th scope="col">ZEISS</th>' not in page
