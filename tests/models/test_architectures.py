import pytest
from torch import nn

from biostyle.errors import CheckpointError
from biostyle.models.architectures import ARCHITECTURES, architecture_name, build_model


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_model_is_rebuilt_from_its_name_and_arguments(name: str) -> None:
    channels = "n_channels" if name.startswith("residual") else "in_channels"
    arguments = {channels: 2, "n_filters": 4}
    if name == "deeplab" or name.endswith("classifier"):
        arguments = {"n_classes": 3}
    elif name == "single_object":
        arguments = {"grid": 4}
    model = build_model(name, arguments)
    assert architecture_name(model) == name
    again = build_model(name, model.arguments)
    shapes = [{key: value.shape for key, value in one.state_dict().items()} for one in (model, again)]
    assert shapes[0] == shapes[1]


def test_refuses_a_class_that_is_not_listed() -> None:
    with pytest.raises(CheckpointError, match=r"\['deeplab', .*'unet'\], got Linear\. List its class"):
        architecture_name(nn.Linear(1, 1))


def test_refuses_an_unknown_name() -> None:
    with pytest.raises(CheckpointError, match=r"must be one of .*'unet'\], got 'transformer'\."):
        build_model("transformer", {})


def test_refuses_arguments_of_another_architecture() -> None:
    with pytest.raises(CheckpointError, match=r"must fit unet, got \{'n_blocks': 9\} \(.*unexpected keyword"):
        build_model("unet", {"n_blocks": 9})
