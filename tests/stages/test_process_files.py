"""Files of all kinds through a model: what comes out, what is left alone, and what is refused by name."""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from biostyle.application import Model, load
from biostyle.errors import CheckpointError, ConfigError
from biostyle.inference import InferenceSettings
from biostyle.io import volume_writer
from biostyle.io.inputs import InputFile, find_inputs
from biostyle.io.value_range import RangeMapping
from biostyle.io.volumes import Volume, open_volume
from biostyle.stages import process_files as stage
from biostyle.stages.process_files import FileResult, Task, process_file, process_files
from biostyle.types import NDArray
from tests.adapted_models import write_adapted
from tests.io.bad_files import CASES, Case, png, tiff
from tests.simulated import read_tree, stat_tree

RNG = np.random.default_rng(5)
FRAME = RNG.integers(0, 4096, (40, 50), dtype=np.uint16)
STACK = RNG.integers(0, 255, (5, 40, 50), dtype=np.uint8)
CHANNELS = RNG.integers(0, 255, (2, 3, 40, 50), dtype=np.uint8)
STYLIZE, SEGMENT = Task("stylize"), Task("segment")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(write_adapted(tmp_path_factory.mktemp("models") / "model"), "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A frame, a stack, and a movie with channels."""
    root = tmp_path / "in"
    (root / "day 2").mkdir(parents=True)
    (root / "a.tif").write_bytes(tiff(FRAME))
    (root / "day 2" / "b.tif").write_bytes(tiff(STACK, imagej=True, metadata={"axes": "TYX"}))
    (root / "c.ome.tif").write_bytes(tiff(CHANNELS, ome=True, metadata={"axes": "TCYX"}))
    return root


def run(model: Model, inputs: Path, out: Path, task: Task, **options: object) -> dict[str, FileResult]:
    """Results by the name of the file."""
    files = find_inputs([inputs])
    results = process_files(model, files, out, task, **options)  # type: ignore[arg-type]
    assert [result.source for result in results] == [str(file.path) for file in files]
    return {Path(result.source).name: result for result in results}


def read(path: Path) -> NDArray:
    with open_volume(path, labels=True) as volume:
        return np.stack([volume.read_plane(i) for i in volume.info.planes()]).reshape(volume.info.shape)


def statuses(results: dict[str, FileResult]) -> set[str]:
    return {result.status for result in results.values()}


@pytest.mark.parametrize("workers", [1, 3])
def test_files_hold_what_the_model_gives_for_the_array(
    workers: int, model: Model, folder: Path, tmp_path: Path
) -> None:
    run(model, folder, tmp_path / "out", replace(STYLIZE, dtype="float32"), workers=workers)
    run(model, folder, tmp_path / "masks", replace(SEGMENT, labels="watershed"), workers=workers)
    for name, array, axes in (
        ("a.tif", FRAME, None),
        ("day 2/b.tif", STACK, "TYX"),
        ("c.ome.tif", CHANNELS, "TCYX"),
    ):
        np.testing.assert_array_equal(read(tmp_path / "out" / name), model.stylize(array, axes))
        labels = model.segment(array, axes, labels="watershed")
        np.testing.assert_array_equal(read(tmp_path / "masks" / name), labels)


def test_kind_axes_and_type_stay_and_the_mapping_is_recorded(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    run(model, folder, tmp_path / "out", STYLIZE)
    for path in folder.rglob("*.tif"):
        written = tmp_path / "out" / path.relative_to(folder)
        with open_volume(path) as before, open_volume(written) as after:
            for name in ("format", "axes", "shape", "dtype"):
                assert getattr(after.info, name) == getattr(before.info, name)
    expected = np.rint(model.stylize(FRAME).astype(np.float64) * 65535)
    np.testing.assert_array_equal(read(tmp_path / "out" / "a.tif"), expected)
    record = json.loads((tmp_path / "out" / "a.tif.json").read_text())
    assert record["mapping"] == {"from": [0, 1], "to": [0, 65535], "dtype": "uint16"}
    assert record["request"]["model"] == model.fingerprint
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as file:
        assert (
            f"stylize with model {model.fingerprint[:12]}; [0, 1] mapped to [0, 65535]"
            in file.pages[0].description
        )  # type: ignore[union-attr]


def test_white_is_bright_in_results(model: Model, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(tiff(FRAME, photometric="miniswhite"))
    run(model, tmp_path / "in", tmp_path / "out", STYLIZE)
    with open_volume(tmp_path / "out" / "a.tif") as volume:
        assert volume.info.photometric == "minisblack"


def test_one_channel_or_colour_can_be_chosen(model: Model, folder: Path, tmp_path: Path) -> None:
    run(model, folder / "c.ome.tif", tmp_path / "out", replace(SEGMENT, channel=2))
    found = read(tmp_path / "out" / "c.ome.tif")
    np.testing.assert_array_equal(found.squeeze(), model.segment(CHANNELS[:, 2], "TYX"))
    (result,) = run(model, folder / "c.ome.tif", tmp_path / "none", replace(SEGMENT, channel=9)).values()
    assert re.search(r"channel must be 0 to 2, got 9 \(.*c\.ome\.tif\)", result.error)
    rgb = tmp_path / "rgb" / "c.png"
    rgb.parent.mkdir()
    rgb.write_bytes(png(np.stack([FRAME >> 4] * 3, -1).astype(np.uint8)))
    for task in (STYLIZE, SEGMENT):
        (result,) = run(model, rgb, tmp_path / task.verb, task).values()
        assert "got axes YXS" in result.error
        (result,) = run(model, rgb, tmp_path / task.verb, replace(task, channel=0)).values()
        assert result.status == "written"
    expected = model.segment((FRAME >> 4).astype(np.uint8))
    np.testing.assert_array_equal(read(tmp_path / "segment" / "c.png"), expected)


def test_statistics_of_a_stack(model: Model, folder: Path, tmp_path: Path) -> None:
    task = replace(STYLIZE, dtype="float32", statistics="stack", channel=1)
    run(model, folder / "c.ome.tif", tmp_path / "out", task)
    expected = model.stylize(CHANNELS[:, 1], "TYX", statistics="stack")
    np.testing.assert_array_equal(read(tmp_path / "out" / "c.ome.tif").squeeze(), expected)


def test_a_second_run_does_what_is_missing(model: Model, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert statuses(run(model, folder, out, STYLIZE)) == {"written"}
    before, bytes_before = stat_tree(out), read_tree(out)
    assert statuses(run(model, folder, out, STYLIZE)) == {"up to date"}
    assert stat_tree(out) == before
    (out / "a.tif").unlink()
    (folder / "new.tif").write_bytes(tiff(FRAME + 1))
    results = run(model, folder, out, STYLIZE)
    assert {name for name, result in results.items() if result.status == "written"} == {"a.tif", "new.tif"}
    assert {name: read_tree(out)[name] for name in bytes_before} == bytes_before


def test_what_was_made_otherwise_is_replaced_on_request_alone(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    run(model, folder, tmp_path / "out", STYLIZE)
    before = read_tree(tmp_path / "out")
    other = replace(STYLIZE, dtype="uint8")
    for result in run(model, folder, tmp_path / "out", other).values():
        assert re.search(r"must not exist, got .*, which differs in dtype\. .*--overwrite", result.error)
    assert read_tree(tmp_path / "out") == before
    assert statuses(run(model, folder, tmp_path / "out", replace(other, overwrite=True))) == {"written"}
    damaged = tmp_path / "out" / "a.tif"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert "differs in output file." in run(model, folder, tmp_path / "out", other)["a.tif"].error


def test_another_model_is_another_request(model: Model, folder: Path, tmp_path: Path) -> None:
    run(model, folder / "a.tif", tmp_path / "out", STYLIZE)
    other = load(write_adapted(tmp_path / "other", seed=1), "cpu")
    assert "differs in model." in run(other, folder / "a.tif", tmp_path / "out", STYLIZE)["a.tif"].error


def test_nothing_is_written_beside_or_over_an_input(model: Model, folder: Path) -> None:
    before = read_tree(folder)
    files = find_inputs([folder / "a.tif"], suffix="_stylized")
    (result,) = process_files(model, files, folder, STYLIZE)
    assert "must lie in another folder" in result.error
    assert read_tree(folder) == before


def test_a_dry_run_writes_nothing(model: Model, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.tif").write_bytes(b"II*\0")
    results = run(model, folder, tmp_path / "out", SEGMENT, dry_run=True)
    assert results.pop("bad.tif").status == "failed"
    assert statuses(results) == {"would be written"}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 4)])
def test_memory_does_not_depend_on_the_number_of_planes(
    workers: int, most: int, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    stack = np.tile(STACK, (8, 1, 1))
    (tmp_path / "in" / "a.tif").write_bytes(tiff(stack, imagej=True, metadata={"axes": "TYX"}))
    n_read, n_alive = 0, []
    read_plane, apply = Volume.read_plane, RangeMapping.apply

    def count_read(volume: Volume, index: tuple[int, ...]) -> NDArray:
        nonlocal n_read
        n_read += 1
        return read_plane(volume, index)

    def count_written(mapping: RangeMapping, plane: NDArray) -> NDArray:
        n_alive.append(n_read - len(n_alive))
        return apply(mapping, plane)

    monkeypatch.setattr(Volume, "read_plane", count_read)
    monkeypatch.setattr(RangeMapping, "apply", count_written)
    run(model, tmp_path / "in", tmp_path / "out", STYLIZE, workers=workers)
    assert len(n_alive) == 40
    assert max(n_alive) <= most


def test_constant_planes_are_processed_and_told_of(model: Model, tmp_path: Path) -> None:
    movie = STACK.copy()
    movie[2:4] = 7
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(tiff(movie, imagej=True, metadata={"axes": "TYX"}))
    (result,) = run(model, tmp_path / "in", tmp_path / "out", SEGMENT).values()
    assert result.status == "written"
    assert result.warnings[0].startswith("2 of 5 planes are constant")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_and_odd_files(case: Case, model: Model, tmp_path: Path) -> None:
    path = tmp_path / "in" / case.filename
    path.parent.mkdir()
    path.write_bytes(case.content)
    for task in (STYLIZE, SEGMENT):
        out = tmp_path / task.verb
        file = InputFile(path, find_inputs([path])[0].output)
        result = process_file(model, file, out, replace(task, **case.options), ahead=True)
        if isinstance(case.verdict, str):
            assert result.status == "failed"
            assert str(path) in result.error
            assert not read_tree(out)
        else:
            assert result.error == ""
            assert read(Path(result.output)).shape == case.verdict.shape


def test_bad_files_do_not_stop_the_others(model: Model, folder: Path, tmp_path: Path) -> None:
    bad = [case for case in CASES if isinstance(case.verdict, str) and not case.options]
    for number, case in enumerate(bad):
        (folder / f"{number} {case.filename}").write_bytes(case.content)
    results = run(model, folder, tmp_path / "out", SEGMENT, workers=3)
    good = {name for name, result in results.items() if result.status == "written"}
    assert good == {"a.tif", "b.tif", "c.ome.tif"}
    assert len(results) == len(bad) + 3 > 60
    assert set(read_tree(tmp_path / "out")) == {
        f"{name}{end}" for name in ("a.tif", "day 2/b.tif", "c.ome.tif") for end in ("", ".json")
    }


def test_what_disks_and_memory_do_is_an_error_of_the_file(
    model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(volume_writer, "write_tiff", full)
    for result in run(model, folder, tmp_path / "out", STYLIZE).values():
        assert "No space left on device" in result.error
    assert not read_tree(tmp_path / "out")
    for error in (MemoryError("1 TiB"), PermissionError(13, "Permission denied")):
        monkeypatch.setattr(stage, "open_volume", _raise(error))
        assert str(error) in run(model, folder / "a.tif", tmp_path / "out", STYLIZE)["a.tif"].error


def test_bugs_are_raised_and_leave_nothing(
    model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def second(plane: NDArray, settings: object) -> NDArray:
        calls.append(threading.current_thread())
        if len(calls) == 2:
            raise ZeroDivisionError("a bug")
        return plane.astype(np.float32) / 255

    monkeypatch.setattr(model, "stylize_plane", second)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(model, folder / "day 2", tmp_path / "out", STYLIZE, workers=2)
    assert not read_tree(tmp_path / "out")
    assert not any(thread.is_alive() for thread in calls)


def test_an_interruption_ends_at_the_next_plane(
    model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "stylize_plane", _raise(KeyboardInterrupt()))
    for workers in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(model, folder, tmp_path / "out", STYLIZE, workers=workers)
        assert not read_tree(tmp_path / "out")


def test_a_file_that_changes_while_it_is_processed(
    model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.stylize_plane

    def touch(plane: NDArray, settings: object) -> NDArray:
        os.utime(folder / "day 2" / "b.tif")
        return whole(plane, settings)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "stylize_plane", touch)
    result = run(model, folder / "day 2", tmp_path / "out", STYLIZE)["b.tif"]
    assert "must not change" in result.error
    assert not read_tree(tmp_path / "out")


def test_what_the_model_cannot_do_is_said_before_any_file_is_opened(folder: Path, tmp_path: Path) -> None:
    alone = load(write_adapted(tmp_path / "alone", ()), "cpu")
    with pytest.raises(CheckpointError, match="to stylize"):
        run(alone, folder, tmp_path / "out", STYLIZE)
    with pytest.raises(ConfigError, match="'plate'"):
        run(alone, folder, tmp_path / "out", replace(SEGMENT, statistics="plate"))
    assert statuses(run(alone, folder, tmp_path / "out", SEGMENT)) == {"written"}


def test_the_request_names_what_the_result_depends_on(model: Model) -> None:
    assert Task("stylize", dtype="uint8").request(model)["dtype"] == "uint8"
    request = Task("segment", axes="TYX", channel=1, overwrite=True).request(model)
    assert request.keys() == {"verb", "model", "axes", "series", "channel", "labels", "dtype", "statistics"}
    assert (request["labels"], request["dtype"]) == ("binary", "uint8")
    assert Task("segment", labels="watershed", label_dtype="uint32").request(model)["dtype"] == "uint32"


def _raise(error: BaseException) -> object:
    def work(*arguments: object, **options: object) -> None:
        raise error

    return work


@pytest.fixture(scope="module")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    root = tmp_path_factory.mktemp("models")
    return load(write_adapted(root / "colour", ("chain",), n_channels=3), "cpu")


PHOTOGRAPHS = RNG.integers(0, 255, (2, 40, 50, 3), dtype=np.uint8)


def test_photographs_are_segmented_in_all_their_colours(colour_model: Model, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(PHOTOGRAPHS[0]).save(tmp_path / "in" / "one.png")
    tifffile.imwrite(tmp_path / "in" / "stack.tif", PHOTOGRAPHS, metadata={"axes": "TYXS"}, ome=True)
    results = run(colour_model, tmp_path / "in", tmp_path / "out", SEGMENT)
    assert statuses(results) == {"written"}, results
    expected = [colour_model.segment_plane(photograph, InferenceSettings()) for photograph in PHOTOGRAPHS]
    assert 0 < (expected[0] > 0).mean() < 1
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "one.png")), expected[0])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "stack.tif"), np.stack(expected))
    assert statuses(run(colour_model, tmp_path / "in", tmp_path / "out", SEGMENT)) == {"up to date"}


@pytest.mark.parametrize(
    ("frame", "task", "said"),
    [
        (FRAME, SEGMENT, r"red, green and blue .* got axes YX of shape \(40, 50\)"),
        (PHOTOGRAPHS[0], Task("segment", channel=1), r"axes YXS of shape \(40, 50, 3\) and --channel 1"),
    ],
)
def test_a_model_of_photographs_wants_all_colours(
    colour_model: Model, tmp_path: Path, frame: NDArray, task: Task, said: str
) -> None:
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", frame)
    (result,) = run(colour_model, tmp_path / "in", tmp_path / "out", task).values()
    assert result.status == "failed"
    assert re.search(said, result.error), result.error


@pytest.mark.parametrize("task", [STYLIZE, Task("segment", statistics="stack")])
def test_a_model_of_photographs_only_segments(colour_model: Model, tmp_path: Path, task: Task) -> None:
    with pytest.raises(CheckpointError, match=r"got one of colour photographs .*Use segment"):
        process_files(colour_model, [], tmp_path / "out", task)
