"""DeepLabV3: sizes, channels, gradients, and weights to start from."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from biostyle.adaptation import freeze
from biostyle.errors import CheckpointError
from biostyle.models.deeplab import DeepLab


@pytest.fixture(scope="module")
def network() -> DeepLab:
    torch.manual_seed(0)
    return DeepLab(n_classes=3).eval()


@pytest.mark.parametrize("size", [(64, 48), (33, 47), (1, 1), (5, 200)])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_scores_have_the_size_of_the_image(network: DeepLab, size: tuple[int, int], n_channels: int) -> None:
    with torch.inference_mode():
        scores = network(torch.rand(2, n_channels, *size))
    assert scores.shape == (2, 3, *size)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


def test_is_the_network_of_the_papers(network: DeepLab) -> None:
    from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

    theirs = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    n_theirs, n_ours = (sum(p.numel() for p in model.parameters()) for model in (theirs, network))
    assert n_ours == n_theirs
    assert network.arguments == {"n_classes": 3}


def test_frozen_means_that_an_image_does_not_depend_on_its_batch_and_gradients_pass(network: DeepLab) -> None:
    images = torch.rand(2, 3, 32, 32).requires_grad_()
    scores = freeze(network)(images)
    torch.testing.assert_close(scores[:1], network(images[:1]), atol=1e-4, rtol=1e-4)
    scores.square().mean().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize("prefix", ["features.", "backbone."])
def test_starts_from_given_weights(network: DeepLab, prefix: str, tmp_path: Path) -> None:
    given = {prefix + name: tensor.clone() for name, tensor in network.encoder.state_dict().items()}
    save_file({**given, "classifier.0.weight": torch.zeros(2)}, tmp_path / "weights.safetensors")
    other = DeepLab()
    other.load_encoder(tmp_path / "weights.safetensors")
    for name, tensor in other.encoder.state_dict().items():
        assert torch.equal(tensor, network.encoder.state_dict()[name])


def test_refuses_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"features.0.0.weight": torch.zeros(3, 3)}, path)
    n_tensors = len(DeepLab().encoder.state_dict())
    with pytest.raises(
        CheckpointError, match=rf"no fitting 0\.0\.weight and {n_tensors} of {n_tensors} .*weights\.saf"
    ):
        DeepLab().load_encoder(path)


def test_refuses_pickles_and_missing_files(tmp_path: Path) -> None:
    pickled = tmp_path / "weights.pth"
    pickled.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(CheckpointError, match=r"must be a safetensors file, got .*weights\.pth.*save_file"):
        DeepLab().load_encoder(pickled)
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        DeepLab().load_encoder(tmp_path / "none.safetensors")
