import copy
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from biostyle.checkpoints import CARD, WEIGHTS, load_model, load_state, read_card, save_model, save_state
from biostyle.errors import CheckpointError, OutputError
from biostyle.models.foreign import open_foreign
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.unet import UNet
from tests.foreign_segmenters import ENTRY, write_exported, write_torchscript


class CreatesAFile:
    """What an attacker would put into a weights file: unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def model_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "segmenter"
    unet = UNet(n_filters=2, depth=1)
    save_model(directory, unet, preprocessing={"working_scale": 0.5}, training_data={"frames": ["01_t000"]})
    return directory


def edit_card(directory: Path, **changes: object) -> None:
    """Overwrite some keys of the card."""
    card = json.loads((directory / CARD).read_text()) | changes
    (directory / CARD).write_text(json.dumps(card))


@pytest.mark.parametrize(
    "model", [UNet(3, 4, 2, 2), ResnetGenerator(1, 3, 4, 1, "resize")], ids=["unet", "resnet"]
)
def test_a_model_comes_back_with_the_same_outputs(model: nn.Module, tmp_path: Path) -> None:
    images = torch.rand(2, model.arguments["in_channels"], 17, 21)
    model.train()
    model(images)  # move the running statistics, which belong to the model too
    save_model(tmp_path / "deep" / "model", model, preprocessing={}, training_data={"frames": []})
    again, _ = load_model(tmp_path / "deep" / "model")
    assert type(again) is type(model)
    assert not again.training
    assert torch.equal(again(images), model.eval()(images))


def test_the_card_says_what_the_model_is(model_directory: Path) -> None:
    _, card = load_model(model_directory)
    assert card["architecture"] == "unet"
    assert card["arguments"] == {"in_channels": 1, "n_classes": 2, "n_filters": 2, "depth": 1}
    assert card["preprocessing"] == {"working_scale": 0.5}
    assert card["training_data"] == {"frames": ["01_t000"]}
    assert card["weights_sha256"] == hashlib.sha256((model_directory / WEIGHTS).read_bytes()).hexdigest()


def test_the_same_model_gives_the_same_bytes(model_directory: Path, tmp_path: Path) -> None:
    model, card = load_model(model_directory)
    save_model(
        tmp_path / "again", model, preprocessing=card["preprocessing"], training_data=card["training_data"]
    )
    for name in (WEIGHTS, CARD):
        assert (tmp_path / "again" / name).read_bytes() == (model_directory / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [CARD, WEIGHTS]


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_refuses_half_a_model(model_directory: Path, name: str) -> None:
    (model_directory / name).unlink()
    with pytest.raises(CheckpointError, match=rf"got no {name} \(.*segmenter\)"):
        load_model(model_directory)


@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""])
def test_refuses_altered_weights(model_directory: Path, damage: object) -> None:
    content = damage((model_directory / WEIGHTS).read_bytes())  # type: ignore[operator]
    (model_directory / WEIGHTS).write_bytes(content)
    actual = hashlib.sha256(content).hexdigest()[:12]
    with pytest.raises(
        CheckpointError, match=rf"must have SHA-256 [0-9a-f]{{12}}…, got {actual}… \(.*segmenter\)"
    ):
        load_model(model_directory)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"format": "bio', "JSONDecodeError"),
        ("[]", "another thing: .*valid dictionary"),
        ("{}", "architecture: Field required"),
    ],
)
def test_refuses_a_card_that_is_cut_short(model_directory: Path, text: str, reason: str) -> None:
    (model_directory / CARD).write_text(text)
    with pytest.raises(CheckpointError, match=rf"must describe a biostyle model, got .*{reason}.*segmenter"):
        load_model(model_directory)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"weights_sha256": 7}, "weights_sha256: .*valid string"),
        ({"architecture": ["unet"]}, "architecture: .*valid string"),
        ({"arguments": [1]}, "arguments: .*valid dictionary"),
        ({"preprocessing": {"working_scale": "half"}}, r"preprocessing\.working_scale: .*valid number"),
        ({"training_data": {"frames": 7}}, r"training_data\.frames: .*valid list"),
        ({"training_data": {}}, r"training_data\.frames: Field required"),
    ],
)
def test_refuses_a_card_with_values_of_another_type(
    model_directory: Path, changes: dict[str, object], reason: str
) -> None:
    edit_card(model_directory, **changes)
    with pytest.raises(CheckpointError, match=rf"must describe a biostyle model, got {reason}.*segmenter"):
        load_model(model_directory)


@pytest.mark.parametrize("arguments", [{"n_filters": -4}, {"n_filters": "four"}, {"depth": 1.5}])
def test_refuses_arguments_no_network_can_have(model_directory: Path, arguments: dict[str, object]) -> None:
    edit_card(model_directory, arguments=arguments)
    with pytest.raises(CheckpointError, match=rf"must fit unet, got \{{'{next(iter(arguments))}'"):
        load_model(model_directory)


@pytest.mark.parametrize("hash_matches", [False, True])
def test_a_pickle_is_refused_and_never_executed(
    model_directory: Path, tmp_path: Path, hash_matches: bool
) -> None:
    content = pickle.dumps(CreatesAFile(tmp_path / "executed"))
    (model_directory / WEIGHTS).write_bytes(content)
    if hash_matches:
        edit_card(model_directory, weights_sha256=hashlib.sha256(content).hexdigest())
    rule = "must hold the weights of unet" if hash_matches else "must have SHA-256"
    with pytest.raises(CheckpointError, match=rf"{rule}.*segmenter"):
        load_model(model_directory)
    with pytest.raises(CheckpointError, match=r"training state must be readable, got .*model\.safetensors"):
        load_state(model_directory / WEIGHTS)
    assert not (tmp_path / "executed").exists()
    pickle.loads(content)
    assert (tmp_path / "executed").exists()  # it would have worked


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"architecture": "transformer"}, "got 'transformer'"),
        ({"architecture": "resnet_generator"}, r"must fit resnet_generator, got \{'depth': 1, .*'depth'"),
        (
            {"arguments": {"n_filters": 4, "depth": 1}},
            r"must hold the weights of unet, got .*UNet.*segmenter",
        ),
    ],
)
def test_refuses_weights_of_another_architecture(
    model_directory: Path, changes: dict[str, object], reason: str
) -> None:
    edit_card(model_directory, **changes)
    with pytest.raises(CheckpointError, match=reason):
        load_model(model_directory)


@pytest.mark.parametrize(
    "write",
    [write_torchscript, pytest.param(write_exported, marks=pytest.mark.slow)],
    ids=["torchscript", "exported_program"],
)
def test_a_foreign_file_travels_with_its_model(write: Callable[[Path], Path], tmp_path: Path) -> None:
    suffix = "pt" if write is write_torchscript else "pt2"
    original = write(tmp_path / f"mine.{suffix}")
    segmenter = open_foreign(str(original), multiple=4)
    save_model(tmp_path / "model", segmenter, preprocessing={}, training_data={"frames": []})
    program = tmp_path / "model" / f"model.{suffix}"
    assert program.read_bytes() == original.read_bytes()
    original.unlink()
    again, card = load_model(tmp_path / "model")
    assert card["architecture"] == ("torchscript" if suffix == "pt" else "exported_program")
    assert card["arguments"] == {"multiple": 4}
    assert (card["differentiable"], card["trainable"]) == (True, True)
    assert card["program_sha256"] == hashlib.sha256(program.read_bytes()).hexdigest()
    images = torch.rand(2, 1, 17, 21)
    assert torch.equal(again(images), segmenter(images))
    save_model(tmp_path / "again", again, preprocessing={}, training_data={"frames": []})
    save_model(tmp_path / "again", again, preprocessing={}, training_data={"frames": []})
    for name in (CARD, WEIGHTS, program.name):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    program.write_bytes(program.read_bytes() + b"0")
    with pytest.raises(
        CheckpointError, match=rf"model\.{suffix} must have SHA-256 [0-9a-f]{{12}}…, got .*model\)"
    ):
        load_model(tmp_path / "model")
    program.unlink()
    with pytest.raises(CheckpointError, match=rf"got no model\.{suffix} \(.*model\)"):
        load_model(tmp_path / "model")


def test_an_entry_is_made_again_with_the_weights_it_had(tmp_path: Path) -> None:
    torch.manual_seed(0)
    segmenter = open_foreign("tests.foreign_segmenters:Halving", multiple=2)
    save_model(tmp_path / "model", segmenter, preprocessing={}, training_data={"frames": []})
    again, card = load_model(tmp_path / "model")
    assert (card["architecture"], card["arguments"]["entry"]) == ("entry", "tests.foreign_segmenters:Halving")
    images = torch.rand(2, 1, 17, 21)
    assert torch.equal(again(images), segmenter(images))
    edit_card(tmp_path / "model", arguments={**card["arguments"], "entry": ENTRY})
    with pytest.raises(CheckpointError, match=r"must hold the weights of entry, got Error.* \(.*model\)"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize(
    "write",
    [write_torchscript, pytest.param(write_exported, marks=pytest.mark.slow)],
    ids=["torchscript", "exported_program"],
)
def test_a_foreign_network_that_was_trained_further_keeps_what_it_learned(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    suffix = "pt" if write is write_torchscript else "pt2"
    segmenter = copy.deepcopy(open_foreign(str(write(tmp_path / f"mine.{suffix}")))).train()
    images = torch.rand(2, 1, 16, 24)
    optimiser = torch.optim.AdamW(segmenter.parameters(), 0.1)
    before = segmenter(images).detach()
    segmenter(images).square().mean().backward()
    optimiser.step()
    save_model(tmp_path / "model", segmenter, preprocessing={}, training_data={"frames": []})
    again, _ = load_model(tmp_path / "model")
    assert torch.equal(again(images), segmenter(images))
    assert not torch.allclose(again(images), before)


def test_every_card_says_whether_gradients_pass(model_directory: Path, tmp_path: Path) -> None:
    _, card = load_model(model_directory)
    assert (card["differentiable"], card["trainable"]) == (True, True)
    save_model(tmp_path / "entry", open_foreign(ENTRY), preprocessing={}, training_data={"frames": []})
    _, card = load_model(tmp_path / "entry")
    assert (card["differentiable"], card["trainable"]) == (False, False)


def test_an_entry_with_more_than_tensors_is_refused(tmp_path: Path) -> None:
    segmenter = open_foreign("tests.foreign_segmenters:WithState")
    with pytest.raises(CheckpointError, match=r"tensors alone, got str in network\._extra_state"):
        save_model(tmp_path / "model", segmenter, preprocessing={}, training_data={"frames": []})


def test_weights_that_may_not_be_read_are_named(
    model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        CheckpointError, match=rf"{WEIGHTS} must be readable, got Permission denied \(.*segmenter\)"
    ):
        load_model(model_directory)


def test_a_card_is_read_without_building_the_model(model_directory: Path) -> None:
    (model_directory / WEIGHTS).unlink()
    assert read_card(model_directory)["architecture"] == "unet"


def test_a_nested_state_comes_back(tmp_path: Path) -> None:
    shared = torch.arange(6.0).view(2, 3)
    state = {
        "int keys": {0: {"step": torch.tensor(3.0)}, 10: {"step": torch.tensor(4.0)}},
        "list": [shared, {"views": [shared[0], shared.T]}, [], {}],
        "numbers": [1, 2.5, float("nan"), True, None, "text"],
        "tuple": (0.5, 0.999),
        "dtypes": [torch.tensor([1], dtype=torch.uint8), torch.ones(2, dtype=torch.bfloat16), torch.zeros(0)],
    }
    save_state(tmp_path / "resume" / "state.safetensors", state)
    again = load_state(tmp_path / "resume" / "state.safetensors")
    assert list(again) == list(state)
    assert list(again["int keys"]) == [0, 10]
    assert again["int keys"][10]["step"] == 4
    assert torch.equal(again["list"][1]["views"][1], shared.T)
    assert again["list"][2:] == [[], {}]
    assert str(again["numbers"]) == str(state["numbers"])
    assert again["tuple"] == [0.5, 0.999]
    assert [t.dtype for t in again["dtypes"]] == [torch.uint8, torch.bfloat16, torch.float32]
    assert [path.name for path in (tmp_path / "resume").iterdir()] == ["state.safetensors"]


def test_adam_goes_on_where_it_was(tmp_path: Path) -> None:
    def optimise(layer: nn.Linear, optimiser: torch.optim.Optimizer) -> None:
        layer(torch.ones(1, 3)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()

    layer = nn.Linear(3, 2)
    adam = torch.optim.Adam(layer.parameters(), 0.1, fused=True)
    optimise(layer, adam)
    save_state(tmp_path / "state", {"layer": layer.state_dict(), "adam": adam.state_dict()})
    again = nn.Linear(3, 2)
    adam_again = torch.optim.Adam(again.parameters(), 0.5, fused=True)
    state = load_state(tmp_path / "state")
    again.load_state_dict(state["layer"])
    adam_again.load_state_dict(state["adam"])
    optimise(layer, adam)
    optimise(again, adam_again)
    assert torch.equal(layer.weight, again.weight)
    assert torch.equal(layer.bias, again.bias)


@pytest.mark.parametrize("content", [None, b"", b"\x00" * 100])
def test_refuses_a_state_that_cannot_be_read(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"must be readable, got .+ \(.*state\.safetensors\)"):
        load_state(path)


def test_refuses_a_state_without_its_tree(model_directory: Path) -> None:
    with pytest.raises(CheckpointError, match=r"must be readable, got .+ \(.*model\.safetensors\)"):
        load_state(model_directory / WEIGHTS)


def test_names_the_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"must be writable, got .+ \(.*file/model\)"):
        save_model(
            tmp_path / "file" / "model",
            UNet(n_filters=2, depth=1),
            preprocessing={},
            training_data={"frames": []},
        )
    with pytest.raises(OutputError, match=r"must be writable, got .+ \(.*file/state\)"):
        save_state(tmp_path / "file" / "state", {"step": 1})


def test_a_failed_write_leaves_the_earlier_state_untouched(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_state(path, {"step": 1})
    (tmp_path / "state.safetensors.partial").mkdir()  # stands in the way of the new file
    with pytest.raises(OutputError, match=r"must be writable, got .+ \(.*state\.safetensors\)"):
        save_state(path, {"step": 2})
    assert load_state(path) == {"step": 1}
