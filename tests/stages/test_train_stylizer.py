import json
import shutil
from pathlib import Path

import pytest
import torch

from biostyle.adapted_model import is_usable, load_adapted
from biostyle.artifacts import BuildOptions, fingerprint
from biostyle.checkpoints import load_model, save_model, save_state
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import PreparedDomain, load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError, InterruptedRunError, TranslationAlarmError
from biostyle.models.single_object import SingleObject
from biostyle.stages import train_stylizer as stage
from biostyle.stages.prepare import prepare
from biostyle.stages.train_stylizer import train_stylizer, train_stylizer_in_the_loop
from biostyle.training.cyclegan import CycleGAN, StylizerSettings, train_cyclegan
from biostyle.training.segmenter_in_the_loop import SegmenterInTheLoop
from tests.simulated import TINY_SPLIT, read_tree

SETTINGS = StylizerSettings(
    n_steps=1,
    n_filters=2,
    n_blocks=0,
    discriminator_n_filters=2,
    discriminator_n_layers=1,
    crop_size_px=16,
    sample_every=0,
)


def test_both_generators_say_what_they_were_trained_on(tiny_run: Path, tmp_path: Path) -> None:
    prepared_a, prepared_b = (tiny_run / "prepared" / name for name in ("nikon", "zeiss"))
    out = train_stylizer(
        prepared_a,
        prepared_b,
        tmp_path / "stylizer",
        SETTINGS,
        Preprocessing(),
        seed=0,
        device="cpu",
        options=BuildOptions(),
    )
    frames = {
        name: [f"{folder}/01_t{number:03d}" for number in range(4)]
        for name, folder in (("prepared_a", "SIM-A"), ("prepared_b", "SIM-B"))
    }
    weights = []
    for name in ("gen_ba", "gen_ab"):
        model, card = load_model(out / name)
        weights.append(next(model.parameters()))
        assert card["training_data"] == {
            "prepared_a": fingerprint(prepared_a),
            "prepared_b": fingerprint(prepared_b),
            "frames": [*frames["prepared_a"], *frames["prepared_b"]],
        }
    assert not (weights[0] == weights[1]).all()
    assert {path.split("/")[0] for path in read_tree(out)} == {
        "artifact.json",
        "gen_ab",
        "gen_ba",
        "history.csv",
    }


def test_masks_are_not_looked_at(tiny_data: Path, tiny_run: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "SIM-B" / "01_ST")
    bare = prepare(
        data,
        tmp_path / "bare",
        DomainSettings(folder="SIM-B", title="B"),
        TINY_SPLIT,
        annotated=False,
        options=BuildOptions(),
    )
    prepared_a = tiny_run / "prepared" / "nikon"
    made = [
        train_stylizer(
            prepared_a, prepared_b, tmp_path / name, SETTINGS, Preprocessing(), seed=0, device="cpu",
            options=BuildOptions(),
        )
        for name, prepared_b in (("with", tiny_run / "prepared" / "zeiss"), ("without", bare))
    ]  # fmt: skip
    first, second = ((out / "gen_ba" / "model.safetensors").read_bytes() for out in made)
    assert first == second


WITH_S_A = SETTINGS.model_copy(
    update={"residual": True, "decoder": "resize", "lambda_segmentation": 1.0, "least_agreement": 0.0}
)


def train_with_s_a(
    tiny_run: Path,
    out: Path,
    settings: StylizerSettings = WITH_S_A,
    *,
    prepared_b: Path | None = None,
    resume: bool = False,
) -> Path:
    """Train behind the tiny run's chain."""
    return train_stylizer_in_the_loop(
        tiny_run / "prepared" / "nikon",
        prepared_b or tiny_run / "prepared" / "zeiss",
        tiny_run / "segmenter",
        tiny_run / "candidates" / "zeiss" / "matching",
        out,
        settings,
        seed=5,
        device="cpu",
        options=BuildOptions(resume=resume),
    )


def test_with_s_a_in_the_loop_a_candidate_holds_the_chain_and_the_generator(
    tiny_run: Path, tmp_path: Path
) -> None:
    matching = tiny_run / "candidates" / "zeiss" / "matching"
    before = read_tree(tiny_run / "segmenter")
    out = train_with_s_a(tiny_run, tmp_path / "out")
    assert read_tree(tiny_run / "segmenter") == before
    assert {path.name for path in out.iterdir()} == {
        "artifact.json", "chain", "gen_ab", "gen_ba", "history.csv"
    }  # fmt: skip
    assert read_tree(out / "chain") == read_tree(matching / "chain")
    chain, chain_card = load_model(out / "chain")
    generator, card = load_model(out / "gen_ba")
    assert card["preprocessing"] == chain_card["preprocessing"]
    assert {"SIM-A/01_t000", "SIM-B/01_t003"} <= set(card["training_data"]["frames"])
    adapted = load_adapted(out, tiny_run / "segmenter")
    segmenter, _ = load_model(tiny_run / "segmenter")
    images = torch.rand(1, 1, 32, 32)
    assert torch.equal(adapted.segmenter(images), segmenter(generator(chain(images))))


def test_what_keeps_one_object_of_the_chain_keeps_one_behind_the_generator(
    run_copy: Path, tmp_path: Path
) -> None:
    matching = run_copy / "candidates" / "zeiss" / "matching"
    (matching / "artifact.json").unlink()
    described = {"preprocessing": {}, "training_data": {"frames": ["SIM-A/01_t000"]}}
    save_model(matching / "single_object", SingleObject(), **described)
    out = train_with_s_a(run_copy, tmp_path / "out")
    assert read_tree(out / "single_object") == read_tree(matching / "single_object")
    (chain, _), (generator, _) = load_model(out / "chain"), load_model(out / "gen_ba")
    segmenter, _ = load_model(run_copy / "segmenter")
    images = torch.rand(1, 1, 32, 32)
    found = load_adapted(out, run_copy / "segmenter").segmenter(images)
    assert torch.equal(found, SingleObject()(segmenter(generator(chain(images)))))


def test_what_is_learned_from_is_seen_through_the_chain(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}

    def remember(images_a: object, images_b: object, *rest: object, loop: object, **more: object) -> CycleGAN:
        given.update(images_a=images_a, images_b=images_b, loop=loop)
        return train_cyclegan(images_a, images_b, *rest, loop=loop, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "train_cyclegan", remember)
    train_with_s_a(tiny_run, tmp_path / "out")
    loop = given["loop"]
    assert isinstance(loop, SegmenterInTheLoop)
    adapted = load_adapted(tiny_run / "candidates" / "zeiss" / "matching", tiny_run / "segmenter")
    segmenter, card = load_model(tiny_run / "segmenter")
    domain_a, domain_b = (load_prepared(tiny_run / "prepared" / name) for name in ("nikon", "zeiss"))
    for domain, preprocessing, stylize, found in (
        (
            domain_a,
            Preprocessing.model_validate(card["preprocessing"]),
            lambda batch: batch,
            given["images_a"],
        ),
        (domain_b, adapted.preprocessing, adapted.stylizer, given["images_b"]),
    ):
        rows = domain.frames("train")
        expected = [stylize(preprocessing.image_batch(domain.read_image(row)))[0] for row in rows]
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    for image, mask in zip(given["images_b"], loop.masks_b, strict=True):
        assert torch.equal(mask, segmenter(image[None]).argmax(1)[0].to(torch.uint8))
    for row, mask in zip(domain_a.frames("train"), loop.masks_a, strict=True):
        assert (mask.numpy() == domain_a.read_truth(row)[0]).all()
    assert not any(parameter.requires_grad for parameter in loop.segmenter.parameters())


def test_with_s_a_in_the_loop_masks_of_b_are_not_looked_at(
    tiny_data: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = PreparedDomain.read_truth

    def remember(self: PreparedDomain, *arguments: object) -> object:
        read.append(self.folder)
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PreparedDomain, "read_truth", remember)
    train_with_s_a(tiny_run, tmp_path / "out")
    assert set(read) == {"SIM-A"}


RINGS = WITH_S_A.model_copy(
    update={
        "residual": False,
        "n_blocks": 0,
        "n_steps": 30,
        "log_every": 1,
        "least_agreement": 1.0,
        "n_starts": 3,
    }
)


def test_where_every_start_rings_nothing_usable_is_left_but_a_reason(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []

    def remember(*arguments: object, seed: int, **more: object) -> CycleGAN:
        seeds.append(seed)
        return train_cyclegan(*arguments, seed=seed, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "train_cyclegan", remember)
    out = train_with_s_a(tiny_run, tmp_path / "out", RINGS)
    assert seeds == [5, 6, 7]
    assert not is_usable(out)
    assert {path.name for path in out.iterdir()} <= {"artifact.json", "alarm.json", "history.csv"}
    alarm = json.loads((out / "alarm.json").read_text())
    assert alarm["starts"] == 3
    assert "must be at least 1, got 0." in alarm["reason"]
    assert f"({out})" in alarm["reason"]  # and not where it was being made


def ring_in(starts: set[int], seeds: list[int], stop_in: int | None = None) -> object:
    """A training whose alarm rings in some starts, and that is interrupted once in another."""

    def train(*arguments: object, seed: int, out: Path, **more: object) -> CycleGAN:
        seeds.append(seed)
        if seed - 5 in starts:
            raise TranslationAlarmError(f"agreement must be more, got less ({out}).")
        if seed - 5 == stop_in and seeds.count(seed) == 1:
            save_state(out / "resume" / "state.safetensors", {})
            raise InterruptedRunError("stopped")
        shutil.rmtree(out / "resume", ignore_errors=True)
        return train_cyclegan(*arguments, seed=seed, out=out, **more)  # type: ignore[arg-type]

    return train


def test_a_start_after_one_that_rang_is_kept(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(stage, "train_cyclegan", ring_in({0}, seeds))
    out = train_with_s_a(tiny_run, tmp_path / "out", WITH_S_A.model_copy(update={"n_starts": 3}))
    assert seeds == [5, 6]
    assert is_usable(out)
    assert not (out / "alarm.json").exists()


def test_a_start_that_rang_is_not_made_again_after_an_interruption(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(stage, "train_cyclegan", ring_in({0}, seeds, stop_in=1))
    settings = WITH_S_A.model_copy(update={"n_starts": 2})
    with pytest.raises(InterruptedRunError, match="stopped"):
        train_with_s_a(tiny_run, tmp_path / "out", settings)
    out = train_with_s_a(tiny_run, tmp_path / "out", settings, resume=True)
    assert seeds == [5, 6, 6]
    assert is_usable(out)


def test_a_directory_without_a_chain_is_no_beginning(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"got no model\.json \(.*cyclegan/chain\)"):
        train_stylizer_in_the_loop(
            tiny_run / "prepared" / "nikon",
            tiny_run / "prepared" / "zeiss",
            tiny_run / "segmenter",
            tiny_run / "candidates" / "zeiss" / "cyclegan",
            tmp_path / "out",
            WITH_S_A,
            seed=0,
            device="cpu",
            options=BuildOptions(),
        )
