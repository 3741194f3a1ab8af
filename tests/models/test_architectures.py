import pytest
from torch import nn

from biostyle.errors import CheckpointError
from biostyle.models.architectures import ARCHITECTURES, architecture_name, build_model


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_model_is_rebuilt_from_its_name_and_arguments(name: str) -> None:
    channels = "n_channels" if name == "residual_generator" else "in_channels"
    of_classes = name == "deeplab" or name.endswith("classifier")
    model = build_model(name, {"n_classes": 3} if of_classes else {channels: 2, "n_filters": 4})
    assert architecture_name(model) == name
    again = build_model(name, model.arguments)
    assert [p.shape for p in again.parameters()] == [p.shape for p in model.parameters()]


def test_refuses_a_class_that_is_not_listed() -> None:
    with pytest.raises(CheckpointError, match=r"\['deeplab', .*'unet'\], got Linear\. List its class"):
        architecture_name(nn.Linear(1, 1))


def test_refuses_an_unknown_name() -> None:
    with pytest.raises(CheckpointError, match=r"must be one of .*'unet'\], got 'transformer'\."):
        build_model("transformer", {})


def test_refuses_arguments_of_another_architecture() -> None:
    with pytest.raises(CheckpointError, match=r"must fit unet, got \{'n_blocks': 9\} \(.*unexpected keyword"):
        build_model("unet", {"n_blocks": 9})
