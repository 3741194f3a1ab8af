"""Adapted models on arrays: every layout is its planes, and what does not fit is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import biostyle
from biostyle import application
from biostyle.adapted_model import load_adapted
from biostyle.application import load
from biostyle.artifacts import BuildOptions, build
from biostyle.errors import BiostyleError, CheckpointError, ChecksumError, ConfigError, ImageError, MaskError
from biostyle.inference import InferenceSettings, segment_frame, stack_statistics, stylize_frame
from biostyle.io.labels import mask_to_labels
from tests.adapted_models import list_anew, spoil, write_adapted

RNG = np.random.default_rng(3)
STACK = RNG.integers(0, 4096, (3, 2, 33, 50), dtype=np.uint16)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with everything in it; only to be read."""
    return write_adapted(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="module")
def model(directory: Path) -> application.Model:
    return load(directory, "cpu")


def test_importing_biostyle_stays_light() -> None:
    script = "import sys, biostyle; print([m for m in ('torch', 'numpy', 'click') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
    assert biostyle.load is load
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = biostyle.lode  # type: ignore[attr-defined]


def test_a_plane_is_what_the_parts_give(directory: Path, model: application.Model) -> None:
    adapted, frame = load_adapted(directory), STACK[0, 0]
    assert adapted.stylizer is not None
    expected = stylize_frame(adapted.stylizer, frame, adapted.preprocessing, CPU)
    np.testing.assert_array_equal(model.stylize(frame), expected)
    mask = segment_frame(adapted.segmenter, frame, adapted.preprocessing, CPU)
    found = model.segment(frame)
    assert (found.dtype, found.shape) == (np.uint8, frame.shape)
    assert set(np.unique(found)) == {0, 255}
    assert (found == mask * 255).mean() > 0.999  # fused batch norms round differently
    labels = model.segment(frame, labels="components")
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, mask_to_labels(found))
    assert model.segment(frame, labels="watershed").max() >= labels.max()


@pytest.mark.parametrize(
    ("index", "axes"), [((0,), "CYX"), ((slice(None), 1), "tyx"), ((), "TCYX"), ((), "TZYX")]
)
def test_every_layout_is_its_planes(index: tuple[int, ...], axes: str, model: application.Model) -> None:
    array = STACK[index]
    stylized, masks = model.stylize(array, axes), model.segment(array, axes)
    assert stylized.shape == masks.shape == array.shape
    for place in np.ndindex(array.shape[:-2]):
        np.testing.assert_array_equal(stylized[place], model.stylize(array[place]))
        np.testing.assert_array_equal(masks[place], model.segment(array[place]))


def test_floats_are_taken_as_files_are_read(model: application.Model) -> None:
    frame = STACK[0, 0] / 3
    np.testing.assert_array_equal(model.stylize(frame), model.stylize(frame.astype(np.float32)))


def test_statistics_of_a_stack_are_those_of_each_channel(directory: Path, model: application.Model) -> None:
    adapted = load_adapted(directory)
    assert adapted.stylizer is not None
    found = model.stylize(STACK, "TCYX", statistics="stack")
    for channel in (0, 1):
        batches = [adapted.preprocessing.image_batch(frame) for frame in STACK[:, channel]]
        settings = InferenceSettings(statistics=stack_statistics(adapted.stylizer, batches, CPU))
        for time in range(3):
            expected = stylize_frame(
                adapted.stylizer, STACK[time, channel], adapted.preprocessing, CPU, settings
            )
            np.testing.assert_array_equal(found[time, channel], expected)
    assert np.abs(found - model.stylize(STACK, "TCYX")).max() > 1e-4
    assert model.segment(STACK[:, 0], "TYX", statistics="stack").shape == (3, 33, 50)


def test_statistics_of_training_are_read_from_the_model(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"'train' must be stored .*gen_ba/statistics\.safetensors"):
        load(directory, "cpu").stylize(STACK[0, 0], statistics="train")
    adapted = load_adapted(directory)
    assert adapted.stylizer is not None
    batches = [adapted.preprocessing.image_batch(frame) for frame in STACK[:, 0]]
    statistics = stack_statistics(adapted.stylizer, batches, CPU)
    assert statistics
    save_file(statistics, directory / "gen_ba" / "statistics.safetensors")
    list_anew(directory)
    model = load(directory, "cpu")
    expected = model.stylize(STACK[:, 0], "TYX", statistics="stack")
    np.testing.assert_array_equal(model.stylize(STACK[1, 0], statistics="train"), expected[1])
    (directory / "gen_ba" / "statistics.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="must be stored"):
        model.segment(STACK[0, 0], statistics="train")


def test_dask_arrays_stay_lazy_and_give_the_same(model: application.Model) -> None:
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(STACK, chunks=(2, 1, 20, 50))
    stylized = model.stylize(lazy, "TCYX")
    assert type(stylized).__module__.startswith("dask")
    assert stylized.dtype == np.float32
    np.testing.assert_array_equal(stylized.compute(scheduler="threads"), model.stylize(STACK, "TCYX"))
    labels = model.segment(lazy[0, 0], labels="components", statistics="stack").compute(scheduler="sync")
    np.testing.assert_array_equal(labels, model.segment(STACK[0, 0], labels="components", statistics="stack"))
    stacked = model.stylize(lazy, "TCYX", statistics="stack").compute(scheduler="sync")
    np.testing.assert_array_equal(stacked, model.stylize(STACK, "TCYX", statistics="stack"))


def test_a_model_travels_as_the_name_of_its_directory(model: application.Model) -> None:
    copy = pickle.loads(pickle.dumps(model))
    assert copy.fingerprint == model.fingerprint
    np.testing.assert_array_equal(copy.stylize(STACK[0, 0]), model.stylize(STACK[0, 0]))


def test_one_object_is_kept_as_the_parts_keep_it(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model", ("chain", "gen_ba", "single_object"))
    adapted, model, frame = load_adapted(directory), load(directory, "cpu"), STACK[0, 0]
    mask = segment_frame(adapted.segmenter, frame, adapted.preprocessing, CPU)
    np.testing.assert_array_equal(model.segment(frame), mask * 255)
    assert model.segment(frame, labels="components").max() == 1
    several = write_adapted(tmp_path / "several")
    assert load(several, "cpu").segment(frame, labels="components").max() > 1
    assert load(several).fingerprint != model.fingerprint
    np.testing.assert_array_equal(model.stylize(frame), load(several, "cpu").stylize(frame))
    masks = model.segment(STACK, "TCYX", labels="components")
    assert all(masks[place].max() == 1 for place in np.ndindex(3, 2))


def test_the_fingerprint_is_that_of_the_parts(directory: Path, tmp_path: Path) -> None:
    again, other = write_adapted(tmp_path / "again"), write_adapted(tmp_path / "other", seed=1)
    (again / "notes.txt").write_text("good for Tuesdays")
    assert load(again).fingerprint == load(directory).fingerprint != load(other).fingerprint


@pytest.mark.parametrize(
    ("array", "axes", "message"),
    [
        (STACK[0], None, r"axes must be known.*\(2, 33, 50\) \(array\).*--axes TYX"),
        (STACK, None, "axes must be known.*--axes TCYX"),
        (STACK, "TYX", "name each of 4 dimensions"),
        (STACK, "QCYX", "letters of TCZYXS, got 'QCYX'"),
        (STACK[0, 0, :, :3].reshape(33, 1, 3), "YXS", r"gray values, got axes YXS of shape \(33, 1, 3\)"),
        (STACK[0, 0, 0], None, r"planes .*got shape \(50,\)"),
        (STACK[:0], "TCYX", r"got shape \(0, 2, 33, 50\)"),
        (STACK[0, 0].astype(complex), None, "of complex128"),
        (np.where(np.eye(9), np.nan, 1), None, "got 9 NaN"),
        (np.eye(9) * 1e300, None, "got 9 NaN or infinite"),
    ],
)
def test_arrays_that_cannot_be_taken(
    array: np.ndarray, axes: str | None, message: str, model: application.Model
) -> None:
    for work in (model.stylize, model.segment):
        with pytest.raises(ImageError, match=message):
            work(array, axes)


def test_words_that_are_unknown(model: application.Model) -> None:
    with pytest.raises(ConfigError, match="got 'plate'"):
        model.stylize(STACK[0, 0], statistics="plate")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="got 'cells'"):
        model.segment(STACK[0, 0], labels="cells")  # type: ignore[arg-type]


def test_models_without_generator_or_stylizer(tmp_path: Path) -> None:
    alone = load(write_adapted(tmp_path / "alone", ()), "cpu")
    with pytest.raises(CheckpointError, match=r"chain or gen_ba to stylize.*alone"):
        alone.stylize(STACK[0, 0])
    assert alone.segment(STACK[0, 0]).any()
    chain = load(write_adapted(tmp_path / "chain", ("chain",)), "cpu")
    assert chain.stylize(STACK[0, 0]).shape == (33, 50)
    for statistics in ("stack", "train"):
        with pytest.raises(CheckpointError, match=f"without gen_ba, got '{statistics}'"):
            chain.segment(STACK[0, 0], statistics=statistics)  # type: ignore[arg-type]


def test_a_model_of_photographs_takes_no_arrays(tmp_path: Path) -> None:
    colour = load(write_adapted(tmp_path / "colour", ("chain",), n_channels=3), "cpu")
    with pytest.raises(CheckpointError, match=rf"got one of colour photographs \({tmp_path}/colour\)"):
        colour.segment(STACK[0, 0])


def test_a_model_travels_to_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(load(write_adapted(Path("model"), ("chain",)), "cpu"))
    monkeypatch.chdir("/")
    assert pickle.loads(sent).segment(STACK[0, 0]).any()


def test_a_frame_beyond_the_memory_is_named(
    model: application.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError(),
    ):
        monkeypatch.setattr(application, "segment_frame", _raise(error))
        with pytest.raises(ImageError, match="fit into memory, got 33 x 50 px"):
            model.segment(STACK[0, 0])
    monkeypatch.setattr(application, "segment_frame", _raise(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        model.segment(STACK[0, 0])


def _raise(error: Exception) -> object:
    def work(*arguments: object) -> None:
        raise error

    return work


def test_more_objects_than_labels_can_number(
    model: application.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    dots = np.zeros((600, 600), np.uint8)
    dots[::2, ::2] = 1
    monkeypatch.setattr(application, "segment_frame", lambda *arguments: dots)
    with pytest.raises(MaskError, match="90000"):
        model.segment(dots, labels="components")
    labels = model.segment(dots, labels="components", dtype="uint32")
    assert (labels.max(), labels.dtype) == (90_000, np.uint32)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("a pickle", "must have SHA-256"),
        ("a pickle with its hash", "must hold the weights"),
        ("cut short", "must have SHA-256"),
        ("other weights", "must have SHA-256"),
        ("no weights", r"^gen_ba/model\.safetensors must have SHA-256 [0-9a-f]{64}, got no such file"),
        ("no card", r"^segmenter/model\.json must have SHA-256 [0-9a-f]{64}, got no such file"),
        ("card of noise", r"^segmenter/model\.json must have SHA-256 [0-9a-f]{64}, got [0-9a-f]{64} "),
        ("other card", r"^segmenter/model\.json must have SHA-256 [0-9a-f]{64}, got [0-9a-f]{64} "),
        ("no chain", r"^chain/model\.json must have SHA-256 [0-9a-f]{64}, got no such file"),
        ("another part", r"^chain/more must have SHA-256 in adapted\.json, got e3b0c442"),
        ("no list", r"^adapted\.json must list the files of the adapted model, got KeyError\('files'\)"),
        ("no segmenter", r"^segmenter/model\.json must have SHA-256 [0-9a-f]{64}, got no such file"),
        ("nothing", r"^model must hold adapted\.json, got none"),
        ("not even a list", r"^model must hold adapted\.json, got none"),
    ],
)
def test_spoilt_models(how: str, message: str, tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    spoil(directory, how)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(directory)
    assert str(directory) in str(caught.value)
    assert isinstance(caught.value, BiostyleError)
    assert not list(tmp_path.rglob("exploded"))


def test_every_file_of_a_finished_directory_is_verified(tmp_path: Path) -> None:
    parts = write_adapted(tmp_path / "parts")

    def work(partial: Path) -> None:
        for path in parts.rglob("*"):
            if path.is_file():
                target = partial / path.relative_to(parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())

    build(tmp_path / "model", "export-adapted", {}, {}, work, BuildOptions())
    assert load(tmp_path / "model").fingerprint == load(parts).fingerprint
    card = tmp_path / "model" / "segmenter" / "model.json"
    card.write_text(card.read_text().replace("99.5", "98.5"))
    with pytest.raises(ChecksumError, match=r"segmenter/model\.json must be as it was made"):
        load(tmp_path / "model")


def test_the_device_must_be_there(directory: Path) -> None:
    with pytest.raises(ConfigError, match="'toaster'"):
        load(directory, "toaster")
