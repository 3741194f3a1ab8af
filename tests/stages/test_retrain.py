"""S_B as a candidate: what it is made of, what it learned from, and its ceiling."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from biostyle.adapted_model import CHAIN, SEGMENTER, load_adapted
from biostyle.artifacts import BuildOptions, fingerprint, read_record
from biostyle.checkpoints import load_model, read_card, save_model
from biostyle.data.datasets import read_images, read_masks
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import PreparedDomain, load_prepared, spread
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import ArtifactMismatchError, CheckpointError, ConfigError, SplitError
from biostyle.matching.grid import GridSettings
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.single_object import SingleObject
from biostyle.selection import RULE
from biostyle.stages.match import match, read_concord
from biostyle.stages.prepare import prepare
from biostyle.stages.retrain import doubt_about, retrain
from biostyle.training import retraining
from biostyle.training.batch_statistics import adapt_batch_statistics
from biostyle.training.retraining import RetrainSettings, foreground_probs
from biostyle.types import NDArray
from tests.evidence_by_hand import found
from tests.photographs import CONFIG, PhotographRun
from tests.simulated import TINY_SPLIT, read_tree

SETTINGS = RetrainSettings(
    n_steps=2, n_frames=3, crop_size_px=16, batch_size=2, log_every=1, sample_every=0, precision="float32"
)


def make(
    tiny_run: Path,
    out: Path,
    settings: RetrainSettings = SETTINGS,
    *,
    prepared_b: Path | None = None,
    teacher: Path | None = None,
    rivals: tuple[Path, ...] = (),
    renderer: Path | None = None,
    plain: Path | None = None,
    supervised: bool = False,
) -> Path:
    """Retrain on the tiny run's domains, with its chain as the teacher."""
    return retrain(
        tiny_run / "prepared" / "nikon",
        prepared_b or tiny_run / "prepared" / "zeiss",
        tiny_run / "segmenter",
        teacher or tiny_run / "candidates" / "zeiss" / "matching",
        out,
        settings,
        rivals=rivals,
        renderer=renderer,
        plain=plain,
        supervised=supervised,
        seed=0,
        device="cpu",
        options=BuildOptions(),
    )


class Given:
    """What the stage hands to the training."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = retraining.retrain

        def remember(
            segmenter: torch.nn.Module, a: object, b: object, settings: RetrainSettings, **rest: object
        ) -> object:
            (self.images_a, self.masks_a), (self.images_b, self.probs), self.settings = a, b, settings
            self.network = segmenter
            return original(segmenter, a, b, settings, **rest)  # type: ignore[arg-type]

        monkeypatch.setattr(retraining, "retrain", remember)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    return Given(monkeypatch)


def equal(found: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_s_b_stands_behind_its_teacher_s_chain(tiny_run: Path, tmp_path: Path) -> None:
    before = read_tree(tiny_run / "segmenter")
    out = make(tiny_run, tmp_path / "out")
    assert read_tree(tiny_run / "segmenter") == before
    assert {path.name for path in out.iterdir()} == {"artifact.json", "chain", "segmenter", "history.csv"}
    chain, _ = load_model(tiny_run / "candidates" / "zeiss" / "matching" / "chain")
    network, card = load_model(out / "segmenter")
    images = torch.rand(1, 1, 32, 32)
    adapted = load_adapted(out)  # with a segmenter of its own it needs no other
    assert torch.equal(adapted.segmenter(images), network(chain(images)))
    assert card["training_data"]["prepared_b"] == fingerprint(tiny_run / "prepared" / "zeiss")
    seen = set(card["training_data"]["frames"])
    all_a, all_b = ({f"{folder}/01_t{number:03d}" for number in range(4)} for folder in ("SIM-A", "SIM-B"))
    assert all_a | set(spread(sorted(all_b), 3)) <= seen <= all_a | all_b


@pytest.mark.parametrize("favour_rare", [False, True])
def test_the_teacher_labels_what_the_chain_shows(
    favour_rare: bool, tiny_run: Path, tmp_path: Path, given: Given
) -> None:
    plain = make(tiny_run, tmp_path / "plain")
    if favour_rare:
        make(tiny_run, tmp_path / "out", plain=plain)
    domain_a, domain_b = (load_prepared(tiny_run / "prepared" / name) for name in ("nikon", "zeiss"))
    teacher = load_adapted(tiny_run / "candidates" / "zeiss" / "matching", tiny_run / "segmenter")
    _, card = load_model(tiny_run / "segmenter")
    preprocessing = Preprocessing.model_validate(card["preprocessing"])
    rows_a, rows_b = domain_a.frames("train"), spread(domain_b.frames("train"), 3)
    frames = read_images(domain_b, rows_b, teacher.preprocessing)
    assert equal(given.images_a, read_images(domain_a, rows_a, preprocessing))
    assert equal(given.masks_a, read_masks(domain_a, rows_a, preprocessing))
    assert teacher.stylizer is not None
    assert equal(given.images_b, [teacher.stylizer(frame[None])[0] for frame in frames])
    doubt = 1 - read_concord(tiny_run / "candidates" / "zeiss" / "matching") if favour_rare else 0.0
    share = SETTINGS.share_of(doubt)
    labels = [foreground_probs(teacher.segmenter, frame[None], share)[0, 0] for frame in frames]
    assert equal(given.probs, labels)


@pytest.mark.parametrize(
    ("edges", "teaches"),
    [((1.9, 1.8, 1.8), "matching"), ((1.8, 1.9, 1.8), "adabn"), ((1.7, 1.8, 1.9), "cyclegan_sa")],
)
def test_whoever_finds_most_on_the_steepest_edges_teaches(
    edges: tuple[float, ...],
    teaches: str,
    tiny_run: Path,
    tmp_path: Path,
    given: Given,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The chain, or what stands behind it; S_B stands behind the chain alone."""
    names = ("matching", "adabn", "cyclegan_sa")
    matching, *rivals = (tiny_run / "candidates" / "zeiss" / name for name in names)
    domain = load_prepared(tiny_run / "prepared" / "zeiss")
    rows = spread(domain.frames("train"), 3)

    def look_at(
        candidates: dict[Path, Path], segmenter: Path, images: list[NDArray], *rest: object
    ) -> object:
        assert list(candidates) == [matching, *rivals]  # the simplest first
        assert all(
            np.array_equal(image, domain.read_image(row)) for image, row in zip(images, rows, strict=True)
        )
        return {
            path: found(0.95, learned=path != matching, edges=support)
            for path, support in zip(candidates, edges, strict=True)
        }

    monkeypatch.setattr("biostyle.stages.retrain.look_at", look_at)
    out = make(tiny_run, tmp_path / "out", rivals=tuple(rivals))
    teacher = load_adapted(matching.parent / teaches, tiny_run / "segmenter")
    frames = read_images(domain, rows, teacher.preprocessing)
    chain, _ = load_model(matching / "chain")
    assert equal(given.images_b, [chain(frame[None])[0] for frame in frames])
    assert equal(given.probs, [foreground_probs(teacher.segmenter, frame[None], 0)[0, 0] for frame in frames])
    assert read_card(out / "segmenter")["training_data"]["taught_by"] == teaches
    assert {path.name for path in out.iterdir()} == {"artifact.json", "chain", "segmenter", "history.csv"}
    request = read_record(out)["request"]
    for number, rival in enumerate(rivals, 1):
        assert request["inputs"][f"rival_{number}"] == fingerprint(rival)
    assert request["settings"]["rule"] == RULE


def test_a_rival_behind_another_chain_is_refused(run_copy: Path, tmp_path: Path) -> None:
    rivals = {name: run_copy / "candidates" / "zeiss" / name for name in ("cyclegan", "cyclegan_sa")}
    chain = rivals["cyclegan_sa"] / "chain"
    (rivals["cyclegan_sa"] / "artifact.json").unlink()
    shutil.rmtree(chain)
    shutil.copytree(run_copy / "segmenter", chain)
    for path in rivals.values():
        with pytest.raises(ConfigError, match="rival must stand behind the teacher's chain") as refusal:
            make(run_copy, tmp_path / "out", rivals=(path,))
        assert str(path) in str(refusal.value)
        assert "'biostyle adapt-statistics' or 'train-stylizer'" in str(refusal.value)
    make(run_copy, tmp_path / "out", rivals=(rivals["cyclegan"],), supervised=True)
    assert "taught_by" not in read_card(tmp_path / "out" / "segmenter")["training_data"]


@pytest.mark.parametrize(
    ("concord", "favour_rare", "supervised", "doubt"),
    [
        (0.9, True, False, 0.1),
        (1.0, True, False, 0.0),
        (0.9, False, False, 0.0),
        (0.9, False, True, 0.0),
        (0.9, True, True, 0.0),
    ],
)
def test_the_doubt_is_what_the_best_chains_lack_in_concord(
    concord: float,
    favour_rare: bool,
    supervised: bool,
    doubt: float,
    run_copy: Path,
    tmp_path: Path,
    given: Given,
) -> None:
    teacher = run_copy / "candidates" / "zeiss" / "matching"
    (teacher / "artifact.json").unlink()
    (teacher / "concord.json").write_text(json.dumps({"concord": concord}))
    plain = make(run_copy, tmp_path / "plain", teacher=teacher) if favour_rare else None
    make(run_copy, tmp_path / "out", teacher=teacher, plain=plain, supervised=supervised)
    expected = SETTINGS.in_doubt(doubt)
    for name in ("sure_common", "sure_rare", "largest_weight"):
        assert getattr(given.settings, name) == pytest.approx(getattr(expected, name))


def test_s_b_with_the_benefit_of_the_doubt_is_halfway_there(
    run_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = run_copy / "candidates" / "zeiss" / "matching"
    (teacher / "artifact.json").unlink()
    (teacher / "concord.json").write_text(json.dumps({"concord": 0.5}))
    plain = make(run_copy, tmp_path / "plain", teacher=teacher)
    out = make(run_copy, tmp_path / "out", teacher=teacher, plain=plain)
    assert read_record(out)["request"]["inputs"]["plain"] == fingerprint(plain)
    monkeypatch.setattr("biostyle.stages.retrain.adapt_batch_statistics", lambda *_, **__: True)
    halfway = make(run_copy, tmp_path / "halfway", teacher=teacher, plain=plain)
    monkeypatch.setattr(retraining, "average_weights", lambda network, other: None)
    leaning = make(run_copy, tmp_path / "leaning", teacher=teacher, plain=plain)
    one, other, mean = (load_model(path / SEGMENTER)[0].state_dict() for path in (plain, leaning, halfway))
    assert any(not torch.equal(value, other[name]) for name, value in one.items())
    for name, value in mean.items():
        torch.testing.assert_close(value.float(), (one[name] + other[name]) / 2.0, check_dtype=False)

    expected, card = load_model(halfway / SEGMENTER)
    domain_a, domain_b = (load_prepared(run_copy / "prepared" / name) for name in ("nikon", "zeiss"))
    rows_a, rows_b = domain_a.with_truth("train"), spread(domain_b.frames("train"), SETTINGS.n_frames)
    known = read_card(run_copy / "segmenter")["preprocessing"]
    masks = torch.stack(read_masks(domain_a, rows_a, Preprocessing.model_validate(known)))
    chain = load_model(teacher / CHAIN)[0]
    frames = read_images(domain_b, rows_b, Preprocessing.model_validate(card["preprocessing"]))
    adapt_batch_statistics(
        expected,
        [chain(frame[None]) for frame in frames],
        masks.float().mean().item(),
        0.5,
        trained_on_a=SETTINGS.share_a,
    )
    moved = load_model(out / SEGMENTER)[0].state_dict()
    assert any(not torch.equal(value, mean[name]) for name, value in moved.items())
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(moved[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("other", ["teacher", "supervised", "stage"])
def test_halfway_between_what_learned_from_other_inputs_is_refused(
    other: str, tiny_run: Path, tmp_path: Path
) -> None:
    candidates = tiny_run / "candidates" / "zeiss"
    if other == "stage":
        plain = candidates / "adabn"
    elif other == "teacher":
        plain = candidates / "retrain"  # there were rivals
    else:
        plain = make(tiny_run, tmp_path / "plain", supervised=True)
    with pytest.raises(ConfigError, match="--favour-rare must name what 'biostyle retrain' made") as refusal:
        make(tiny_run, tmp_path / "out", plain=plain)
    assert f"({plain})" in str(refusal.value)


def test_what_keeps_one_object_of_the_teacher_keeps_one_of_s_b(
    run_copy: Path, tmp_path: Path, given: Given
) -> None:
    teacher = run_copy / "candidates" / "zeiss" / "matching"
    (teacher / "artifact.json").unlink()
    (teacher / "concord.json").write_text(json.dumps({"concord": 0.9}))
    assert doubt_about(teacher) == pytest.approx(0.1)
    described = {"preprocessing": {}, "training_data": {"frames": ["SIM-A/01_t000"]}}
    save_model(teacher / "single_object", SingleObject(), **described)
    assert doubt_about(teacher) == 0
    out = make(run_copy, tmp_path / "out", teacher=teacher)
    assert read_tree(out / "single_object") == read_tree(teacher / "single_object")
    adapted, kept = load_adapted(out).segmenter, load_adapted(teacher, run_copy / "segmenter").segmenter
    chain, (network, _) = load_model(out / "chain")[0], load_model(out / "segmenter")
    images = torch.rand(1, 1, 32, 32)
    assert torch.equal(adapted(images), SingleObject()(network(chain(images))))
    assert given.settings.sure_common == SETTINGS.in_doubt(0).sure_common
    domain = load_prepared(run_copy / "prepared" / "zeiss")
    frames = read_images(
        domain, spread(domain.frames("train"), 3), load_adapted(teacher, run_copy / "segmenter").preprocessing
    )
    assert equal(given.probs, [foreground_probs(kept, frame[None], 0)[0, 0] for frame in frames])


def test_frames_of_a_in_b_s_look_are_trained_on_beside_those_as_they_are(
    tiny_run: Path, tmp_path: Path, given: Given
) -> None:
    renderer = tiny_run / "candidates" / "zeiss" / "cyclegan_sa"
    out = make(tiny_run, tmp_path / "out", renderer=renderer)
    generator, card = load_model(renderer / "gen_ab")
    n = len(given.images_a) // 2
    assert n == 4
    assert equal(given.images_a[n:], [generator(image[None])[0] for image in given.images_a[:n]])
    assert equal(given.masks_a[n:], given.masks_a[:n])
    _, of_s_b = load_model(out / "segmenter")
    assert set(card["training_data"]["frames"]) <= set(of_s_b["training_data"]["frames"])
    assert "renderer" in read_record(out)["request"]["inputs"]
    assert "renderer" not in read_record(make(tiny_run, tmp_path / "without"))["request"]["inputs"]


def test_s_b_works_at_the_scale_of_its_chain(tiny_run: Path, tmp_path: Path, given: Given) -> None:
    teacher = match(
        tiny_run / "prepared" / "zeiss",
        tiny_run / "segmenter",
        tmp_path / "teacher",
        GridSettings(scales=(0.5,), tones=("linear",), n_frames=1),
        device="cpu",
        options=BuildOptions(),
    )
    out = make(tiny_run, tmp_path / "out", teacher=teacher)
    assert given.images_a[0].shape == (1, 72, 80)
    assert given.images_b[0].shape == (1, 36, 40)
    assert given.probs[0].shape == (36, 40)
    assert load_adapted(out).preprocessing.working_scale == 0.5


def test_masks_of_b_are_not_looked_at(
    tiny_data: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "SIM-B" / "01_ST")
    settings = DomainSettings(folder="SIM-B", title="ZEISS")
    bare = prepare(data, tmp_path / "bare", settings, TINY_SPLIT, annotated=False, options=BuildOptions())
    read: list[str] = []
    original = PreparedDomain.read_truth

    def remember(self: PreparedDomain, *arguments: object) -> object:
        read.append(self.folder)
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PreparedDomain, "read_truth", remember)
    with_masks, without = (
        make(tiny_run, tmp_path / "with"),
        make(tiny_run, tmp_path / "without", prepared_b=bare),
    )
    assert set(read) == {"SIM-A"}
    first, second = ((out / "segmenter" / "model.safetensors").read_bytes() for out in (with_masks, without))
    assert first == second
    with pytest.raises(SplitError, match="at least one frame, got 0"):
        make(tiny_run, tmp_path / "ceiling", prepared_b=bare, supervised=True)


def test_the_ceiling_learns_from_the_true_masks_and_from_nothing_else(
    tiny_run: Path, tmp_path: Path, given: Given
) -> None:
    settings = SETTINGS.model_copy(update={"n_rounds": 2})
    out = make(tiny_run, tmp_path / "out", settings, supervised=True)
    assert (given.settings.share_a, given.settings.n_rounds) == (0, 1)
    domain = load_prepared(tiny_run / "prepared" / "zeiss")
    truth = [torch.from_numpy(domain.read_truth(row)[0]) for row in spread(domain.frames("train"), 3)]
    assert equal(given.probs, [mask.float() for mask in truth])
    assert read_record(out)["request"]["settings"]["supervised"] is True


def test_a_teacher_without_a_chain_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"got no model\.json \(.*cyclegan/chain\)"):
        make(tiny_run, tmp_path / "out", teacher=tiny_run / "candidates" / "zeiss" / "cyclegan")
    assert not (tmp_path / "out").exists()


def test_is_made_once_and_refuses_other_settings(tiny_run: Path, tmp_path: Path) -> None:
    made = (make(tiny_run, tmp_path / "out") / "artifact.json").stat().st_mtime_ns
    quiet = SETTINGS.model_copy(update={"log_every": 2, "checkpoint_every": 1})
    assert (make(tiny_run, tmp_path / "out", quiet) / "artifact.json").stat().st_mtime_ns == made
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['supervised', 'training\.share_a'\]"):
        make(tiny_run, tmp_path / "out", supervised=True)


def fine_tune(run: PhotographRun, out: Path, n_frames: int, **more: Path) -> Path:
    """Train further on annotated photographs of B."""
    settings = CONFIG.retrain.model_copy(update={"n_frames": n_frames})
    return retrain(
        run.a,
        run.b,
        run.segmenter,
        None,
        out,
        settings,
        supervised=True,
        seed=0,
        device="cpu",
        options=BuildOptions(),
        **more,
    )


def test_transfer_learning_begins_from_s_a_on_some_annotated_photographs(
    photograph_run: PhotographRun, tmp_path: Path, given: Given
) -> None:
    out = fine_tune(photograph_run, tmp_path / "out", 2)
    b = load_prepared(photograph_run.b)
    rows = spread(b.with_truth("train"), 2)
    assert equal(given.images_b, read_images(b, rows, CONFIG.preprocessing))
    assert equal(given.probs, [mask.float() for mask in read_masks(b, rows, CONFIG.preprocessing)])
    assert given.settings.share_a == 0
    adapted = load_adapted(out, photograph_run.segmenter)
    assert adapted.stylizer is None
    used = b.global_ids(rows + b.with_truth("validation"))
    assert [name for name in adapted.frames if name in b.global_ids(list(b.rows))] == used
    assert 0 < read_card(out / "segmenter")["training_data"]["threshold"] < 1


def test_transfer_can_begin_from_a_candidate_and_go_on_with_rendered_images(
    photograph_run: PhotographRun, tmp_path: Path, given: Given
) -> None:
    start = fine_tune(photograph_run, tmp_path / "start", 1)
    weights = {name: value + 1 for name, value in load_model(start / "segmenter")[0].state_dict().items()}
    network, card = load_model(start / "segmenter")
    network.load_state_dict(weights)
    shutil.rmtree(start)
    described = {"preprocessing": card["preprocessing"], "training_data": card["training_data"]}
    save_model(start / "segmenter", network, **described)
    renderer = tmp_path / "renderer"
    save_model(renderer / "gen_ab", ResnetGenerator(3, 3, n_filters=2, n_blocks=1), **described)
    fine_tune(photograph_run, tmp_path / "out", 2, start=start, renderer=renderer)
    assert all(torch.equal(value, weights[name]) for name, value in given.network.state_dict().items())
    n_frames = len(load_prepared(photograph_run.a).frames("train"))
    assert len(given.images_a) == 2 * n_frames
    assert given.settings.share_a == CONFIG.retrain.share_a
