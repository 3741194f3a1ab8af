"""Candidates and adapted models: what is put together, in which order, and what does not fit together."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from biostyle.adapted_model import is_usable, load_adapted, save_adapted
from biostyle.checkpoints import save_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError, OutputError
from biostyle.matching.chain import MatchingChain
from biostyle.matching.intensity import Polarity
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.single_object import SingleObject
from biostyle.models.unet import UNet
from tests.simulated import read_tree

PARTS = ("chain", "gen_ba", "segmenter")
COMBINATIONS = [parts for n in (1, 2, 3) for parts in itertools.combinations(PARTS, n)]


class Models:
    """One network of each kind, and directories made of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.networks: dict[str, nn.Module] = {
            "segmenter_a": UNet(n_filters=2, depth=1).eval(),
            "segmenter": UNet(n_filters=2, depth=1).eval(),
            "gen_ba": ResnetGenerator(n_filters=2, n_blocks=1).eval(),
            "chain": MatchingChain([Polarity()]),
            "single_object": SingleObject(),
        }
        self.segmenter_a = root / "segmenter_a"
        self.save("segmenter_a", self.segmenter_a)

    def save(self, kind: str, directory: Path, **preprocessing: float) -> None:
        save_model(
            directory,
            self.networks[kind],
            preprocessing=Preprocessing(**preprocessing).model_dump(mode="json"),
            training_data={"frames": ["shared", f"of {kind}"]},
        )

    def candidate(self, *parts: str, name: str = "candidate", **preprocessing: float) -> Path:
        for part in parts:
            self.save(part, self.root / name / part, **preprocessing)
        return self.root / name


@pytest.fixture
def models(tmp_path: Path) -> Models:
    torch.manual_seed(0)
    return Models(tmp_path)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 1, 12, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("parts", COMBINATIONS, ids="+".join)
def test_every_combination_is_put_together_in_order(
    parts: tuple[str, ...], models: Models, images: torch.Tensor
) -> None:
    adapted = load_adapted(models.candidate(*parts), models.segmenter_a)
    used = "segmenter" if "segmenter" in parts else "segmenter_a"
    stylizers = [part for part in ("chain", "gen_ba") if part in parts]
    expected = images
    for part in stylizers:
        expected = models.networks[part](expected)
    if stylizers:
        assert adapted.stylizer is not None
        assert torch.equal(adapted.stylizer(images), expected)
    else:
        assert adapted.stylizer is None
    assert torch.equal(adapted.segmenter(images), models.networks[used](expected))
    assert not adapted.segmenter.training
    assert adapted.preprocessing == Preprocessing()
    assert adapted.frames == ("shared", *(f"of {part}" for part in (used, *stylizers)))


def test_the_segmenter_alone_takes_frames_as_they_are(models: Models, images: torch.Tensor) -> None:
    adapted = load_adapted(None, models.segmenter_a)
    assert adapted.stylizer is None
    assert torch.equal(adapted.segmenter(images), models.networks["segmenter_a"](images))
    assert adapted.frames == ("shared", "of segmenter_a")


STYLIZED = [("chain",), ("gen_ba",), ("chain", "gen_ba"), ("chain", "segmenter")]


@pytest.mark.parametrize("parts", STYLIZED, ids="+".join)
def test_what_keeps_one_object_is_applied_last(
    parts: tuple[str, ...], models: Models, images: torch.Tensor, tmp_path: Path
) -> None:
    plain = load_adapted(models.candidate(*parts), models.segmenter_a)
    used = "segmenter" if "segmenter" in parts else "segmenter_a"
    with torch.no_grad():  # a quarter is foreground: several objects
        logits = plain.segmenter(images)
        models.networks[used].head.bias[1] -= (logits[:, 1] - logits[:, 0]).quantile(0.75)  # type: ignore[index, operator, union-attr]
    models.save(used, models.segmenter_a if used == "segmenter_a" else models.root / "candidate" / used)
    plain = load_adapted(models.candidate(), models.segmenter_a)
    candidate = models.candidate("single_object")
    adapted = load_adapted(candidate, models.segmenter_a)
    expected = models.networks["single_object"](plain.segmenter(images))
    assert not torch.equal(expected, plain.segmenter(images))
    assert torch.equal(adapted.segmenter(images), expected)
    assert adapted.frames == (*plain.frames, "of single_object")
    save_adapted(candidate, models.segmenter_a, tmp_path / "out", {})
    shutil.rmtree(candidate)
    saved = load_adapted(tmp_path / "out")
    assert torch.equal(saved.segmenter(images), adapted.segmenter(images))
    assert saved.frames == adapted.frames
    files = json.loads((tmp_path / "out" / "adapted.json").read_text())["files"]
    weights = tmp_path / "out" / "single_object" / "model.safetensors"
    assert files["single_object/model.safetensors"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    shutil.rmtree(weights.parent)
    with pytest.raises(CheckpointError, match=r"single_object/model\.json must have SHA-256 .* no such file"):
        load_adapted(tmp_path / "out")


@pytest.mark.parametrize("parts", [("chain",), ("gen_ba",), ("chain", "gen_ba")], ids="+".join)
def test_what_stands_before_s_a_brings_its_own_scale(parts: tuple[str, ...], models: Models) -> None:
    adapted = load_adapted(models.candidate(*parts, working_scale=0.7), models.segmenter_a)
    assert adapted.preprocessing == Preprocessing(working_scale=0.7)


def test_a_generator_must_have_the_scale_of_the_chain_before_it(models: Models) -> None:
    candidate = models.candidate("chain", working_scale=0.7)
    models.save("gen_ba", candidate / "gen_ba", working_scale=0.6)
    with pytest.raises(
        CheckpointError, match=r"gen_ba must have .*working_scale=0\.7.*got .*working_scale=0\.6.*candidate\)"
    ):
        load_adapted(candidate, models.segmenter_a)


def test_what_stands_before_a_segmenter_of_its_own_brings_its_scale_too(models: Models) -> None:
    """Otherwise S_A could not be saved behind a chain of another scale."""
    candidate = models.candidate("segmenter")
    models.save("chain", candidate / "chain", working_scale=0.7)
    assert load_adapted(candidate).preprocessing == Preprocessing(working_scale=0.7)


@pytest.mark.parametrize("part", ["chain", "gen_ba"])
def test_intensities_must_be_scaled_alike(part: str, models: Models, tmp_path: Path) -> None:
    candidate = models.candidate(part, low_percentile=2.0)
    for directory in (candidate, models.candidate("segmenter")):
        with pytest.raises(
            CheckpointError, match=rf"{part} must .*low_percentile=0\.5.*got .*low_percentile=2\.0"
        ):
            load_adapted(directory, models.segmenter_a)
    with pytest.raises(CheckpointError, match=r"got .*low_percentile=2\.0"):
        save_adapted(candidate, models.segmenter_a, tmp_path / "out", {})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("parts", [("chain",), ("chain", "gen_ba")], ids="+".join)
def test_a_candidate_without_its_segmenter_is_refused(parts: tuple[str, ...], models: Models) -> None:
    with pytest.raises(CheckpointError, match=r"must hold a directory segmenter, got none \(.*candidate\)"):
        load_adapted(models.candidate(*parts))
    with pytest.raises(CheckpointError, match=r"must hold a directory segmenter, got none \(None\)"):
        load_adapted(None)


def test_a_directory_without_anything_in_it_is_refused(models: Models, tmp_path: Path) -> None:
    """Not even a model directory itself is a candidate: it would be taken for the frames as they are."""
    (tmp_path / "empty").mkdir()
    for directory in (tmp_path / "empty", tmp_path / "absent", models.segmenter_a):
        with pytest.raises(
            CheckpointError, match=rf"chain, gen_ba or segmenter, got none of them \({directory}\)"
        ):
            load_adapted(directory, models.segmenter_a)


def test_a_candidate_is_usable_if_a_part_is_there(models: Models, tmp_path: Path) -> None:
    for number, parts in enumerate(COMBINATIONS):
        assert is_usable(models.candidate(*parts, name=str(number)))
    (tmp_path / "gave_up").mkdir()
    (tmp_path / "gave_up" / "alarm.json").write_text("{}")
    assert not is_usable(tmp_path / "gave_up")
    assert not is_usable(tmp_path / "absent")
    assert not is_usable(models.segmenter_a)


@pytest.mark.parametrize("parts", [(), *COMBINATIONS], ids=lambda parts: "+".join(parts) or "nothing")
def test_an_adapted_model_works_wherever_it_is_moved_to(
    parts: tuple[str, ...], models: Models, images: torch.Tensor, tmp_path: Path
) -> None:
    candidate = models.candidate(*parts, working_scale=1.0) if parts else None
    before = load_adapted(candidate, models.segmenter_a)
    save_adapted(candidate, models.segmenter_a, tmp_path / "made" / "out", {"chosen": "x", "n": 3})
    moved = (tmp_path / "made" / "out").rename(tmp_path / "moved")
    shutil.rmtree(models.segmenter_a)
    if candidate:
        shutil.rmtree(candidate)
    after = load_adapted(moved)
    assert torch.equal(after.segmenter(images), before.segmenter(images))
    assert (after.preprocessing, after.frames) == (before.preprocessing, before.frames)
    assert {path.name for path in moved.iterdir()} == {"segmenter", "adapted.json"} | set(parts)
    files = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in read_tree(moved).items()
        if name != "adapted.json"
    }
    assert json.loads((moved / "adapted.json").read_text()) == {
        "format": "biostyle-adapted-model", "version": 2, "files": files, "chosen": "x", "n": 3
    }  # fmt: skip


@pytest.mark.parametrize(
    "parts", [("chain",), ("gen_ba",), ("chain", "gen_ba"), ("chain", "segmenter")], ids="+".join
)
def test_the_scale_survives(
    parts: tuple[str, ...], models: Models, images: torch.Tensor, tmp_path: Path
) -> None:
    """S_A works at scale 1 and the candidate at another: what is saved must still load, and as the candidate's."""
    candidate = models.candidate(*parts, working_scale=0.7)
    before = load_adapted(candidate, models.segmenter_a)
    save_adapted(candidate, models.segmenter_a, tmp_path / "out", {})
    after = load_adapted(tmp_path / "out")
    assert after.preprocessing == before.preprocessing == Preprocessing(working_scale=0.7)
    assert torch.equal(after.segmenter(images), before.segmenter(images))


def test_what_training_left_behind_stays_behind(models: Models, tmp_path: Path) -> None:
    candidate = models.candidate("gen_ba")
    for left, directory in itertools.product(
        ("resume/state.safetensors", "samples/step.png", "artifact.json"),
        (models.segmenter_a, candidate, candidate / "gen_ba"),
    ):
        path = directory / left
        path.parent.mkdir(exist_ok=True)
        path.write_text("left")
    save_adapted(candidate, models.segmenter_a, tmp_path / "out", {})
    assert set(read_tree(tmp_path / "out")) == {
        "adapted.json",
        *(f"{part}/{file}" for part in ("gen_ba", "segmenter") for file in ("model.json", "model.safetensors")),
    }  # fmt: skip


def test_a_directory_that_cannot_be_written_is_named(models: Models, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"writable, got Not a directory \(.*file/out\)\. Choose") as caught:
        save_adapted(None, models.segmenter_a, tmp_path / "file" / "out", {})
    assert caught.value.exit_code == 3


def test_a_part_that_cannot_be_copied_is_named(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying a tree gathers its errors into one that has no number."""

    def full(*_: object, **__: object) -> None:
        raise shutil.Error([("model.json", "out/model.json", "[Errno 28] No space left on device")])

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OutputError, match=r"writable, got .*No space left on device.* \(.*out\)\."):
        save_adapted(None, models.segmenter_a, tmp_path / "out", {})
