"""Chains: order, JSON, storage as a model, gradients, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from biostyle.adaptation import AdaptedSegmenter
from biostyle.checkpoints import CARD, load_model, save_model
from biostyle.errors import CheckpointError, ConfigError
from biostyle.matching.chain import MatchingChain
from biostyle.matching.colour import Reinhard, ShadesOfGrey
from biostyle.matching.fourier import Fourier
from biostyle.matching.histogram import Histogram
from biostyle.matching.intensity import Background, Polarity, Stretch, Tone
from biostyle.matching.resolution import Blur, Sharpen
from biostyle.models.unet import UNet


def every_step() -> MatchingChain:
    """A chain of one step of each kind."""
    images_a = [torch.rand(1, 1, 20, 24, generator=torch.Generator().manual_seed(0))]
    return MatchingChain(
        [
            Stretch(),
            Tone(name="gamma", exponent=0.7),
            Background(sigma_px=6.0),
            Polarity(),
            Blur(sigma_px=1.0),
            Sharpen(sigma_px=1.0),
            Histogram.of(images_a),
            Fourier.of(images_a, 0.1),
        ]
    )


def test_steps_are_applied_in_order() -> None:
    images = torch.rand(1, 1, 4, 4)
    chain = MatchingChain([Tone(name="square_root"), Polarity()])
    torch.testing.assert_close(chain(images), 1 - images.clamp_min(1e-6).sqrt())


def test_no_step_is_the_identity_and_changes_no_logit() -> None:
    segmenter, images = UNet(n_filters=2, depth=1).eval(), torch.rand(1, 1, 9, 11)
    adapted = AdaptedSegmenter(segmenter, MatchingChain([]))
    assert torch.equal(adapted(images), segmenter(images))


def test_arguments_survive_json() -> None:
    chain, images = every_step(), torch.rand(2, 1, 30, 26)
    again = MatchingChain(**json.loads(json.dumps(chain.arguments)))
    assert torch.equal(again(images), chain(images))
    assert again.arguments == chain.arguments


def test_colour_steps_survive_json() -> None:
    photographs = [torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))]
    learned = (Reinhard.of(photographs), Histogram.of(photographs, space="lab"), Fourier.of(photographs, 0.1))
    chain, images = MatchingChain([ShadesOfGrey(), *learned]), torch.rand(2, 3, 30, 26)
    again = MatchingChain(**json.loads(json.dumps(chain.arguments)))
    assert torch.equal(again(images), chain(images))
    assert again.steps == chain.steps


def test_it_is_stored_like_any_model(tmp_path: Path) -> None:
    chain, images = every_step(), torch.rand(2, 1, 30, 26)
    save_model(tmp_path, chain, preprocessing={"working_scale": 0.4}, training_data={"frames": []})
    again, card = load_model(tmp_path)
    assert isinstance(again, MatchingChain)
    assert torch.equal(again(images), chain(images))
    assert card["architecture"] == "matching_chain"


@pytest.mark.parametrize(
    ("arguments", "named"), [({"steps": [{"kind": "magic"}]}, "magic"), ({"stairs": []}, "stairs")]
)
def test_a_stored_chain_of_another_version_is_refused(
    tmp_path: Path, arguments: dict[str, object], named: str
) -> None:
    save_model(tmp_path, MatchingChain([]), preprocessing={}, training_data={"frames": []})
    card = json.loads((tmp_path / CARD).read_text()) | {"arguments": arguments}
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match=named):
        load_model(tmp_path)


def test_gradients_reach_the_images() -> None:
    images = torch.rand(1, 1, 24, 24, requires_grad=True)
    every_step()(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("step", "named"),
    [
        ({"kind": "magic"}, "magic"),
        ({"kind": "blur", "sigma_px": -2}, "-2"),
        ({"kind": "blur", "sigma_px": 1, "radius": 3}, "radius"),
        ({"kind": "tone", "name": "gamma"}, "got None for gamma"),
    ],
)
def test_wrong_steps_are_named(step: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        MatchingChain([step])
