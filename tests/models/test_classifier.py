from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from biostyle.errors import CheckpointError
from biostyle.models.architectures import architecture_name, build_model
from biostyle.models.classifier import EfficientNetClassifier, ImageClassifier, SmallClassifier, load_backbone


def test_number_of_parameters() -> None:
    def block(n_in: int, n_out: int) -> int:
        return 16 * n_in * n_out + 2 * n_out  # a bias-free 4x4 convolution, scale and shift

    small = sum(parameter.numel() for parameter in SmallClassifier().parameters())
    assert small == block(6, 24) + block(24, 48) + block(48, 96) + block(96, 96) + 2 * 96 * 3 + 3
    large = sum(parameter.numel() for parameter in EfficientNetClassifier(5).parameters())
    assert large == 4_007_548 + 1280 * 5 + 5  # EfficientNet-B0 without its own last layer


@pytest.mark.parametrize("classifier", [SmallClassifier(3), EfficientNetClassifier(3)])
@pytest.mark.parametrize("size", [(32, 32), (50, 37)])
def test_one_row_of_scores_an_image_of_any_size(classifier: ImageClassifier, size: tuple[int, int]) -> None:
    classifier.eval()
    images = torch.rand(2, 3, *size)
    logits = classifier(images)
    assert logits.shape == (2, 3)
    assert logits.dtype == torch.float32
    assert classifier.features(images).shape == (2, classifier.head.in_features)
    torch.testing.assert_close(classifier.score(classifier.features(images)), logits)


def test_gradients_reach_every_parameter() -> None:
    classifier = SmallClassifier()
    classifier(torch.rand(4, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in classifier.parameters())
    assert classifier.backbone[1].weight.grad.abs().sum() > 0  # type: ignore[union-attr]


def test_the_temperature_is_a_part_of_the_model_and_changes_no_class() -> None:
    classifier = SmallClassifier().eval()
    images = torch.rand(5, 3, 32, 32)
    before = classifier(images)
    classifier.temperature.mul_(2.5)
    torch.testing.assert_close(classifier(images), before / 2.5)
    assert classifier.state_dict()["temperature"] == 2.5


@pytest.mark.parametrize("classifier", [SmallClassifier(5, 8, 0.1), EfficientNetClassifier(5, 0.1)])
def test_arguments_rebuild_it(classifier: ImageClassifier) -> None:
    again = build_model(architecture_name(classifier), classifier.arguments)
    again.load_state_dict(classifier.state_dict())


def test_given_weights_go_below_the_last_layer(tmp_path: Path) -> None:
    from torchvision.models import efficientnet_b0

    network = efficientnet_b0(weights=None).eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    classifier = EfficientNetClassifier(5).eval()
    head = classifier.head.weight.clone()
    load_backbone(classifier, tmp_path / "weights.safetensors")
    assert torch.equal(classifier.head.weight, head)
    image = torch.full((1, 3, 64, 64), 0.485)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    described = torch.flatten(
        network.avgpool(network.features((image - mean.view(3, 1, 1)) / std.view(3, 1, 1))), 1
    )
    torch.testing.assert_close(classifier.features(image), described)


def test_refuses_other_weights(tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"features.0.0.weight": torch.zeros(2)}, other)
    with pytest.raises(CheckpointError, match=r"first features\..*other\.safetensors"):
        load_backbone(EfficientNetClassifier(), other)
    other.write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match=r"must be a safetensors file, got .*other\.safetensors"):
        load_backbone(EfficientNetClassifier(), other)
    wrong = dict(EfficientNetClassifier().backbone.state_dict()) | {"features.0.1.bias": torch.zeros(7)}
    save_file(wrong, other)
    with pytest.raises(CheckpointError, match=r"1 tensors that differ, first features\.0\.1\.bias"):
        load_backbone(EfficientNetClassifier(), other)
