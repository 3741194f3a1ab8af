"""Bad input through the command line: one clear line, the right exit status, and nothing lost."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from biostyle.io.frames import write_frame
from biostyle.io.labels import write_labels
from tests.conftest import Invoke
from tests.simulated import TINY_CONFIG, TINY_SHAPE, read_tree

FRAME = "SIM-A/01/t003.tif"
MASK = "SIM-A/01_ST/SEG/man_seg003.tif"
STAGE_LINE = re.compile(r"\S+ +(making|up to date|resuming)")


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    """A data root to spoil."""
    return Path(shutil.copytree(tiny_data, tmp_path / "data"))


def arguments(config: Path | str, data: Path, out: Path, *more: str) -> list[str]:
    return [
        "run",
        "cell-tracking",
        "--config",
        str(config),
        "--data-root",
        str(data),
        "--out",
        str(out),
        *more,
    ]


def error_line(stderr: str) -> str:
    """The one line of an error, which nothing but stages may precede."""
    *before, line = stderr.splitlines()
    assert all(STAGE_LINE.fullmatch(other) for other in before), stderr
    assert re.match(r"[A-Z]\w+Error: ", line), stderr
    assert line.endswith((".", "?")), "an error ends with what to do"
    return line


def missing_folder(data: Path) -> None:
    shutil.rmtree(data / "SIM-B")


def empty_folder(data: Path) -> None:
    missing_folder(data)
    (data / "SIM-B").mkdir()


def no_mask(data: Path) -> None:
    shutil.rmtree(data / "SIM-A" / "01_ST")


def mask_without_frame(data: Path) -> None:
    (data / FRAME).unlink()


def other_size(data: Path) -> None:
    write_labels(data / MASK, np.ones((5, 7), np.uint8))


def truncated(data: Path) -> None:
    (data / FRAME).write_bytes((data / FRAME).read_bytes()[:-300])


def not_tiff(data: Path) -> None:
    (data / FRAME).write_bytes(b"<html>not found</html>")


def rgb(data: Path) -> None:
    tifffile.imwrite(data / FRAME, np.zeros((*TINY_SHAPE, 3), np.uint8), photometric="rgb")


def with_nan(data: Path) -> None:
    frame = np.random.default_rng(0).random(TINY_SHAPE, np.float32)
    frame[3, 4] = np.nan
    write_frame(data / FRAME, frame)


def constant(data: Path) -> None:
    write_frame(data / FRAME, np.full(TINY_SHAPE, 7, np.uint8))


def claims_70_gib(data: Path) -> None:
    tifffile.imwrite(data / FRAME, np.zeros((8, 8), np.uint8))
    with tifffile.TiffFile(data / FRAME, mode="r+b") as tiff:
        tags = tiff.pages[0].tags
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tags[name].overwrite(274_000, dtype="I")
    assert (data / FRAME).stat().st_size < 1000


@pytest.mark.parametrize(
    ("spoil", "kind", "match"),
    [
        (missing_folder, "ImageError", r"got nothing \(.*SIM-B\)\. Check --data-root"),
        (empty_folder, "ImageError", r"got an empty folder \(.*SIM-B\)\. Unpack"),
        (no_mask, "MaskError", r"got none for 4 frames \(.*SIM-A\)\. Add 01_ST/SEG"),
        (
            mask_without_frame,
            "PairingError",
            r"got man_seg003\.tif without t003\.tif .*Add the frame or delete",
        ),
        (other_size, "MaskError", r"frame's size \(72, 80\), got \(5, 7\) \(.*man_seg003\.tif\)"),
        (truncated, "ImageError", r"decode completely, .*t003\.tif\)\. The file is truncated or damaged"),
        (not_tiff, "ImageError", r"got one starting with b'<html>no' \(.*t003\.tif\)\. Obtain"),
        (
            rgb,
            "ImageError",
            r"got a colour image of shape \(72, 80, 3\) \(.*t003\.tif\)\. Convert RGB to gray",
        ),
        (with_nan, "ImageError", r"must be finite, got 1 NaN or infinite pixels \(.*t003\.tif\)\. Replace"),
        (constant, "ImageError", r"not be constant, got 7 in every pixel \(.*t003\.tif\)\. Remove"),
        (claims_70_gib, "ImageError", r"header claim.* 69\.9 GiB.*t003\.tif\)\."),
    ],
)
def test_bad_images_are_named(
    spoil: Callable[[Path], None], kind: str, match: str, data: Path, tiny_config: Path, biostyle: Invoke
) -> None:
    spoil(data)
    before = read_tree(data)
    result = biostyle(*arguments(tiny_config, data, data.with_name("out")))
    assert result.exit_code == 3, result.output
    line = error_line(result.stderr)
    assert line.startswith(f"{kind}: ")
    assert re.search(match, line), line
    assert result.stdout == ""
    assert read_tree(data) == before
    assert not (data.with_name("out") / "segmenter").exists()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("seed = 0", "sed = 0", r"sed must be a known key, got 0 \(.*bad\.toml\)\. Did you mean 'seed'\?"),
        (
            "n_blocks",
            "n_block",
            r"cyclegan\.n_block must be a known key, got 1 \(.*bad\.toml\)\. Did you mean 'n_blocks'\?",
        ),
        ("invert", "inverted", r"derive\.inverted must be a known key.*Did you mean 'invert'\?"),
        (
            "n_steps = 30",
            'n_steps = "many"',
            r"segmenter\.n_steps must be .*integer.*got 'many' \(.*bad\.toml\)",
        ),
        ("seed = 0", "seed = -1", r"seed must be greater than or equal to 0, got -1"),
        ("seed = 0", "seed = ", r"config must be TOML, got Invalid value.*line 3.*\(.*bad\.toml\)\. Correct"),
        ('domain_a = "nikon"', 'domain_a = "niko"', r"domain_a must be one of .*got 'niko' \(.*bad\.toml\)"),
    ],
)
def test_bad_configurations_are_named(
    old: str, new: str, match: str, tiny_data: Path, tmp_path: Path, biostyle: Invoke
) -> None:
    assert old in TINY_CONFIG
    config = tmp_path / "bad.toml"
    config.write_text(TINY_CONFIG.replace(old, new, 1))
    result = biostyle(*arguments(config, tiny_data, tmp_path / "out"))
    assert result.exit_code == 3
    assert re.search(match, error_line(result.stderr)), result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (
            ("--config", "nowhere.toml"),
            r"config must be a readable file, got No such file.*\(nowhere\.toml\)",
        ),
        (("--config", "cell_tracking/gpu"), r"built-in name like cell_tracking/cpu, got 'cell_tracking/gpu'"),
        (("--domains", "zeis"), r"domain must be one of .*got 'zeis'\. Did you mean 'zeiss'\?"),
        (("--domains", "nikon"), r"at least one domain B, got \['nikon'\]"),
        (("--domains", ""), r"domain must be one of .*got ''"),
        (("--set", "cyclegan.n_steps"), r"--set must be KEY=VALUE, got 'cyclegan\.n_steps'"),
        (
            ("--set", "cyclegan.n_stepz=3"),
            r"cyclegan\.n_stepz must be a known key, got 3.*Did you mean 'n_steps'",
        ),
        (("--set", "seed.a=1"), r"'seed' is a value"),
        (("--device", "gpu"), r"device must be auto, cpu or cuda, got 'gpu'"),
        (("--device", "0"), r"device must be .*string.*got 0"),
    ],
)
def test_bad_options_are_named(
    more: tuple[str, ...], match: str, tiny_config: Path, tiny_data: Path, tmp_path: Path, biostyle: Invoke
) -> None:
    result = biostyle(*arguments(tiny_config, tiny_data, tmp_path / "out", *more))
    assert result.exit_code == 3, result.output
    assert re.search(match, error_line(result.stderr)), result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("pipeline", "domains", "match"),
    [
        (
            "dermoscopy",
            "macroscopc",
            r"domain must be one of .*got 'macroscopc'\. Did you mean 'macroscopic'\?",
        ),
        ("dermoscopy", "dermoscopic", r"at least one domain B, got \['dermoscopic'\]"),
        ("fundus", "mixed,spot", r"domain must be one of .*got 'spot'\. Did you mean 'spots'\?"),
        ("fundus", "spots", r"domains must name mixed, .*got \['spots'\]"),
    ],
)
def test_domains_of_other_pipelines_are_checked_alike(
    pipeline: str, domains: str, match: str, tmp_path: Path, biostyle: Invoke
) -> None:
    result = biostyle("run", pipeline, "--domains", domains, "--out", tmp_path / "out")
    assert result.exit_code == 3, result.output
    assert re.search(match, error_line(result.stderr)), result.stderr
    assert list(tmp_path.iterdir()) == []


def test_only_the_kinds_of_poor_photographs_asked_for_are_made(tmp_path: Path, biostyle: Invoke) -> None:
    collection = "fundus.folders=[{reader = 'idrid', folder = 'IDRiD'}]"
    wanted = ("--domains", "blur, mixed", "--set", collection, "--out", tmp_path / "out", "--dry-run")
    result = biostyle("run", "fundus", *wanted)
    assert result.exit_code == 0, result.output
    prepared = [line.split()[0] for line in result.stderr.splitlines() if line.startswith("prepared/")]
    assert prepared == ["prepared/clean", "prepared/mixed", "prepared/blur"]


def test_a_gpu_that_is_not_there_is_named_before_anything_is_made(
    tiny_config: Path, tiny_data: Path, tmp_path: Path, biostyle: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = biostyle(*arguments(tiny_config, tiny_data, tmp_path / "out", "--device", "cuda"))
    assert result.exit_code == 3
    expected = "ConfigError: device must be there, got 'cuda' without a CUDA GPU. Use --device cpu.\n"
    assert result.stderr == expected
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("more", [("--stepz", "3"), ("--seed", "-1"), ("--seed", "x"), ("leftover",)])
def test_a_wrong_usage_is_explained(more: tuple[str, ...], tiny_data: Path, biostyle: Invoke) -> None:
    result = biostyle("run", "cell-tracking", "--data-root", tiny_data, *more)
    assert result.exit_code == 2
    assert more[-1] in result.stderr or more[0] in result.stderr
    assert "Traceback" not in result.stderr


def below_a_file(out: Path) -> Path:
    out.write_text("mine")
    return out / "run"


def a_file(out: Path) -> Path:
    out.write_text("mine")
    return out


def foreign(out: Path) -> Path:
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    return out


def other_pipeline(out: Path) -> Path:
    out.mkdir()
    (out / "run.json").write_text(json.dumps({"schema": 1, "pipeline": "fundus"}))
    return out


def broken_run(out: Path) -> Path:
    out.mkdir()
    (out / "run.json").write_text("{")
    return out


@pytest.mark.parametrize(
    ("occupy", "match"),
    [
        (
            below_a_file,
            r"OutputError: output must be writable, got Not a directory \(.*taken.*choose another --out",
        ),
        (a_file, r"ArtifactMismatchError: output must be new .*got no biostyle run \(.*taken\)"),
        (foreign, r"ArtifactMismatchError: output must be new .*got no biostyle run \(.*taken\)"),
        (other_pipeline, r"ArtifactMismatchError: output must .*cell-tracking run, got fundus \(.*taken\)"),
        (broken_run, r"ArtifactMismatchError: run\.json must name a pipeline, got .*run\.json\)"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_output_that_is_taken_is_left_alone(
    occupy: Callable[[Path], Path],
    match: str,
    more: tuple[str, ...],
    tiny_config: Path,
    tiny_data: Path,
    tmp_path: Path,
    biostyle: Invoke,
) -> None:
    out = occupy(tmp_path / "taken")
    before = read_tree(tmp_path)
    result = biostyle(*arguments(tiny_config, tiny_data, out, *more))
    if occupy is below_a_file and more:
        return  # whether a directory can be made is only known by making it
    assert result.exit_code == 3, result.output
    assert re.search(match, error_line(result.stderr)), result.stderr
    assert read_tree(tmp_path) == before


@pytest.mark.parametrize(
    "altered",
    [
        "prepared/zeiss/frames.csv",
        "segmenter/model.safetensors",
        "candidates/zeiss/cyclegan/gen_ba/model.json",
        "report/index.html",
    ],
)
def test_a_stage_altered_by_hand_is_noticed_and_kept(
    altered: str, run_copy: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke
) -> None:
    path = run_copy / altered
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    before = read_tree(run_copy)
    result = biostyle(*arguments(tiny_config, tiny_data, run_copy))
    assert result.exit_code == 3
    line = error_line(result.stderr)
    assert line.startswith(f"ChecksumError: {path} must be as it was made")
    stage = path.relative_to(run_copy).parts
    assert f"Delete {run_copy / stage[0]}" in line
    assert read_tree(run_copy) == before


@pytest.mark.parametrize("target", ["os.fsync", "pathlib.Path.write_text"])
def test_a_full_disk_is_named_and_the_next_run_goes_on(
    target: str,
    run_copy: Path,
    tiny_config: Path,
    tiny_data: Path,
    biostyle: Invoke,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.rmtree(run_copy / "report")
    shutil.rmtree(run_copy / "scores" / "zeiss")
    before = read_tree(run_copy)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(target, refuse)
        result = biostyle(*arguments(tiny_config, tiny_data, run_copy))
    assert result.exit_code == 3, result.output
    line = error_line(result.stderr)
    assert line.startswith("OutputError: output must be writable, got No space left on device (")
    assert str(run_copy) in line
    assert not (run_copy / "scores" / "zeiss").exists()
    left = read_tree(run_copy)
    assert {path: left[path] for path in before} == before
    assert biostyle(*arguments(tiny_config, tiny_data, run_copy)).exit_code == 0
    assert (run_copy / "report" / "index.html").is_file()


def test_json_is_all_there_is_on_standard_output(
    run_copy: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke
) -> None:
    result = biostyle(*arguments(tiny_config, tiny_data, run_copy, "--json"))
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads((run_copy / "report" / "summary.json").read_text())
    assert "up to date" in result.stderr
    dry = biostyle(*arguments(tiny_config, tiny_data, run_copy, "--json", "--dry-run"))
    assert (dry.exit_code, dry.stdout) == (0, "")


def test_prints_the_table_and_where_the_report_is(
    run_copy: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke
) -> None:
    result = biostyle(*arguments(tiny_config, tiny_data, run_copy))
    summary = json.loads((run_copy / "report" / "summary.json").read_text())
    assert result.stdout.endswith(f"Report: {run_copy / 'report' / 'index.html'}\n")
    for words in (
        "nikon",
        "zeiss",
        "Otsu",
        "All foreground",
        f"{summary['domains']['nikon']['before']['f_score']:.3f}",
    ):
        assert words in result.stdout


@pytest.mark.slow
def test_a_bug_keeps_its_traceback(tiny_config: Path, tiny_data: Path, tmp_path: Path) -> None:
    script = (
        "import biostyle.stages.prepare as stage\n"
        "def bug(*_, **__):\n    raise ZeroDivisionError('a bug')\n"
        "stage.prepare_domain = bug\n"
        "from biostyle.cli import main\nmain()\n"
    )
    command = [sys.executable, "-c", script, *arguments(tiny_config, tiny_data, tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert result.stderr.rstrip().endswith("ZeroDivisionError: a bug")


def test_the_ceiling_is_made_on_request(
    run_copy: Path, tiny_config: Path, tiny_data: Path, biostyle: Invoke
) -> None:
    result = biostyle(*arguments(tiny_config, tiny_data, run_copy, "--with-ceiling", "--dry-run"))
    assert result.exit_code == 0, result.output
    planned = [line.split() for line in result.stderr.splitlines()]
    assert ["ceiling/zeiss", "would", "be", "made"] in planned
    assert ["candidates/zeiss/retrain", "up", "to", "date"] in planned
