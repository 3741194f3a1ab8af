"""Tests of biostyle.cli.process."""

from __future__ import annotations

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from click.testing import Result

from biostyle.application import load
from biostyle.io.volumes import open_volume
from biostyle.types import NDArray
from tests.adapted_models import spoil, write_adapted
from tests.conftest import Invoke
from tests.io.bad_files import CASES, DEEP, RGB, STACK, pages, tiff
from tests.simulated import read_tree

MOVIE = np.stack([STACK[:2], STACK[2:4], STACK[4:]], 1)  # (2, 3, 40, 50)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapted(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven frames and a movie with channels."""
    root = tmp_path / "in"
    root.mkdir()
    for number in range(7):
        (root / f"{number}.tif").write_bytes(tiff(DEEP + number))
    (root / "movie.ome.tif").write_bytes(tiff(MOVIE, ome=True, metadata={"axes": "TCYX"}))
    return root


def read(path: Path) -> NDArray:
    with open_volume(path, labels=True) as volume:
        return np.stack([volume.read_plane(i) for i in volume.info.planes()]).reshape(volume.info.shape)


def files(result: Result, status: int = 0) -> dict[str, dict[str, str]]:
    """What ``--json`` says, by the name of the file."""
    assert result.exit_code == status, result.output
    summary = json.loads(result.stdout)
    assert sum(summary["counts"].values()) == len(summary["files"])
    return {Path(entry["source"]).name: entry for entry in summary["files"]}


def test_stylize_and_segment_give_what_python_gives(
    biostyle: Invoke, model: Path, folder: Path, tmp_path: Path
) -> None:
    python = load(model, "cpu")
    common = ["--model", model, "--device", "cpu"]
    result = biostyle("stylize", folder, "-o", tmp_path / "s", *common, "--dtype", "float32")
    assert result.exit_code == 0, result.output
    assert "Files: 8 written" in result.stdout
    np.testing.assert_array_equal(read(tmp_path / "s/3.tif"), python.stylize(DEEP + 3))
    np.testing.assert_array_equal(read(tmp_path / "s/movie.ome.tif"), python.stylize(MOVIE, "TCYX"))
    for labels in ("binary", "components", "watershed"):
        out = tmp_path / labels
        result = biostyle("segment", folder, "-o", out, *common, "--labels", labels)
        assert result.exit_code == 0, result.output
        expected = python.segment(MOVIE, "TCYX", labels=None if labels == "binary" else labels)  # type: ignore[arg-type]
        np.testing.assert_array_equal(read(out / "movie.ome.tif"), expected)


def test_inputs_may_be_files_folders_and_patterns(
    biostyle: Invoke, model: Path, folder: Path, tmp_path: Path
) -> None:
    inputs = [folder / "0.tif", f"{folder}/[12].tif"]
    result = biostyle(
        "stylize", *inputs, "-o", tmp_path / "out", "--model", model, "--suffix", "_as_a", "--json"
    )
    assert files(result).keys() == {"0.tif", "1.tif", "2.tif"}
    assert {name for name in read_tree(tmp_path / "out") if name.endswith("tif")} == {
        "0_as_a.tif", "1_as_a.tif", "2_as_a.tif",
    }  # fmt: skip


def test_axes_series_channel_and_statistics(biostyle: Invoke, model: Path, tmp_path: Path) -> None:
    python = load(model, "cpu")
    contents = {"a.tif": pages(*STACK), "b.tif": pages(STACK[0], DEEP), "c.tif": tiff(RGB, photometric="rgb")}
    given = {
        "a.tif": ["--axes", "tyx", "--statistics", "stack"],
        "b.tif": ["--series", "1"],
        "c.tif": ["--channel", "1"],
    }
    arrays = {
        "a.tif": python.stylize(STACK, "TYX", statistics="stack"),
        "b.tif": python.stylize(DEEP),
        "c.tif": python.stylize(RGB[..., 1]),
    }
    (tmp_path / "in").mkdir()
    for name, content in contents.items():
        (tmp_path / "in" / name).write_bytes(content)
        command = [
            "stylize",
            tmp_path / "in" / name,
            "-o",
            tmp_path / "out",
            "--model",
            model,
            "--dtype",
            "float32",
        ]
        refused = biostyle(*command)
        assert refused.exit_code == 3
        assert given[name][0] in refused.stderr
        result = biostyle(*command, *given[name])
        assert result.exit_code == 0, result.output
        np.testing.assert_array_equal(read(tmp_path / "out" / name), arrays[name])


@pytest.mark.parametrize("dtype", ["same", "uint8", "uint16", "float32"])
def test_pixel_types(dtype: str, biostyle: Invoke, model: Path, folder: Path, tmp_path: Path) -> None:
    biostyle("stylize", folder / "0.tif", "-o", tmp_path / "out", "--model", model, "--dtype", dtype)
    assert read(tmp_path / "out/0.tif").dtype == ("uint16" if dtype == "same" else dtype)


def test_a_second_run_and_overwrite(biostyle: Invoke, model: Path, folder: Path, tmp_path: Path) -> None:
    command = ["segment", folder, "-o", tmp_path / "out", "--model", model]
    assert "8 written" in biostyle(*command, "--workers", "1").output
    before = read_tree(tmp_path / "out")
    assert "8 up to date" in biostyle(*command, "--workers", "3").output
    other = biostyle(*command, "--labels", "components")
    assert other.exit_code == 3
    assert "8 failed" in other.stdout
    assert read_tree(tmp_path / "out") == before
    assert "8 written" in biostyle(*command, "--labels", "components", "--overwrite").output


def test_shards_are_the_whole_together(biostyle: Invoke, model: Path, folder: Path, tmp_path: Path) -> None:
    command = ["segment", folder, "--model", model, "--json", "-o"]
    whole = files(biostyle(*command, tmp_path / "whole"))
    found: list[str] = []
    for number in range(1, 4):
        found += files(biostyle(*command, tmp_path / "parts", "--shard", f"{number}/3"))
    assert sorted(found) == sorted(whole)
    assert read_tree(tmp_path / "parts") == read_tree(tmp_path / "whole")
    assert files(biostyle(*command, tmp_path / "parts", "--shard", "9/9")) == {}


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2"])
def test_shards_that_are_none(
    shard: str, biostyle: Invoke, model: Path, folder: Path, tmp_path: Path
) -> None:
    result = biostyle("segment", folder, "-o", tmp_path / "out", "--model", model, f"--shard={shard}")
    assert result.exit_code == 2
    assert f"got '{shard}'" in result.stderr


def test_a_dry_run(biostyle: Invoke, model: Path, folder: Path, tmp_path: Path) -> None:
    command = ["stylize", folder, "-o", tmp_path / "out", "--model", model, "--dry-run"]
    result = biostyle(*command)
    assert f"would be written: {tmp_path / 'out' / '0.tif'}" in result.stdout
    assert not (tmp_path / "out").exists()
    assert {entry["status"] for entry in files(biostyle(*command, "--json")).values()} == {"would be written"}
    assert biostyle(*command, "--dask", "local").exit_code == 2


def test_challenge_names(biostyle: Invoke, model: Path, tiny_data: Path, tmp_path: Path) -> None:
    command = ["segment", tiny_data / "SIM-B", "-o", tmp_path / "out", "--model", model, "--ctc"]
    result = biostyle(*command)
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out" / "01_RES").glob("mask00?.tif"))) == 8
    labels = read(tmp_path / "out/01_RES/mask003.tif")
    expected = load(model, "cpu").segment(read(tiny_data / "SIM-B/01/t003.tif"), labels="components")
    np.testing.assert_array_equal(labels, expected)
    assert biostyle(*command, "--labels", "binary").exit_code == 2
    assert biostyle(*command, "--suffix", "_a").exit_code == 2
    assert biostyle(*command, "--dtype", "uint32").exit_code == 2


def test_numbers_of_32_bits(biostyle: Invoke, model: Path, folder: Path, tmp_path: Path) -> None:
    command = ["segment", folder, "--model", model, "-o"]
    assert biostyle(*command, tmp_path / "16", "--labels", "components").exit_code == 0
    result = biostyle(*command, tmp_path / "32", "--labels", "components", "--dtype", "uint32")
    assert result.exit_code == 0, result.output
    for path in (tmp_path / "16").rglob("*.tif"):
        wide = read(tmp_path / "32" / path.relative_to(tmp_path / "16"))
        assert wide.dtype == np.uint32
        np.testing.assert_array_equal(wide.squeeze(), read(path).squeeze())
    assert biostyle(*command, tmp_path / "x", "--dtype", "uint32").exit_code == 2


def test_bad_files_are_listed_and_the_others_processed(
    biostyle: Invoke, model: Path, folder: Path, tmp_path: Path
) -> None:
    bad = [case for case in CASES if isinstance(case.verdict, str) and not case.options]
    for number, case in enumerate(bad):
        (folder / f"bad {number} {case.filename}").write_bytes(case.content)
    command = ["segment", folder, "-o", tmp_path / "out", "--model", model]
    result = biostyle(*command)
    assert result.exit_code == 3
    assert f"{len(bad)} failed, 8 written" in result.stdout
    listed = result.stderr.partition("Failed:\n")[2].splitlines()
    assert len(listed) == len(bad) > 60
    assert "Traceback" not in result.output
    entries = files(biostyle(*command, "--json"), status=3)
    failed = {name for name, entry in entries.items() if entry["status"] == "failed"}
    assert failed == {name for name in entries if name.startswith("bad")}
    assert all(name in entries[name]["error"] for name in failed)


def test_inputs_that_are_none(biostyle: Invoke, model: Path, folder: Path, tmp_path: Path) -> None:
    for command, message in {
        (folder / "none.tif", "-o", tmp_path / "out"): "none.tif",
        (folder, "-o", folder / "out"): "must lie outside of the input folder",
        (folder, "-o", tmp_path / "out", "--suffix", "a/b"): "suffix must be part of a file name",
        (folder, "-o", tmp_path / "out", "--device", "toaster"): "'toaster'",
        (folder, "-o", tmp_path / "out", "--statistics", "train"): "'train' must be stored",
        (folder, "-o", tmp_path / "out", "--dask", "nowhere"): "got nowhere",
    }.items():
        result = biostyle("stylize", *command, "--model", model)
        assert result.exit_code == 3
        assert message in result.stderr
        assert not (tmp_path / "out").exists()
    result = biostyle("stylize", folder / "0.tif", "-o", folder, "--model", model)
    assert result.exit_code == 3
    assert "must lie in another folder" in result.stderr


def test_constant_frames_are_told_of(biostyle: Invoke, model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.tif").write_bytes(tiff(np.zeros((20, 20), np.uint8)))
    result = biostyle("segment", tmp_path / "in", "-o", tmp_path / "out", "--model", model)
    assert result.exit_code == 0
    assert "Warning: 1 of 1 planes are constant" in result.stderr


@pytest.mark.parametrize("verb", ["stylize", "segment", "preview"])
@pytest.mark.parametrize(
    "how", ["a pickle", "a pickle with its hash", "no weights", "no segmenter", "nothing"]
)
def test_spoilt_models_are_refused(
    verb: str, how: str, biostyle: Invoke, folder: Path, tmp_path: Path
) -> None:
    directory = write_adapted(tmp_path / "model")
    spoil(directory, how)
    result = biostyle(verb, folder, "-o", tmp_path / "out", "--model", directory)
    assert result.exit_code == 3
    assert result.stderr.startswith("CheckpointError: ")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("exploded"))


def test_preview(biostyle: Invoke, model: Path, folder: Path, tmp_path: Path) -> None:
    command = ["preview", folder, "-o", tmp_path / "out", "--model", model, "-n", "2"]
    result = biostyle(*command)
    assert result.exit_code == 0, result.output
    pictures = [tmp_path / "out" / name for name in ("2.tif.png", "6.tif.png")]
    assert result.stdout.splitlines() == [str(path) for path in pictures]
    assert imagecodecs.png_decode(pictures[0].read_bytes()).shape == (40, 108)
    assert biostyle(*command).exit_code == 3
    assert biostyle(*command, "--overwrite").exit_code == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_local_cluster_gives_the_same(biostyle: Invoke, model: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    command = ["stylize", folder, "--model", model, "--device", "cpu", "-o"]
    biostyle(*command, tmp_path / "here")
    result = biostyle(*command, tmp_path / "there", "--dask", "local", "--workers", "1")
    assert result.exit_code == 0, result.output
    assert read_tree(tmp_path / "there") == read_tree(tmp_path / "here")
