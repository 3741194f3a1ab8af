from pathlib import Path

import pytest
import torch

from biostyle.checkpoints import load_model, save_model
from biostyle.errors import MaskError
from biostyle.models.single_object import SingleObject


def disc(row: int, column: int, radius: int, size: int = 32) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


MIDDLE = SingleObject.of([disc(16, 16, 8).to(torch.uint8), disc(15, 18, 5).to(torch.uint8)])
LESION, SHADOW = disc(14, 17, 4), disc(0, 0, 12)  # the shadow is larger


def test_the_object_in_the_middle_is_kept() -> None:
    masks = torch.stack([LESION | SHADOW, SHADOW, torch.zeros(32, 32, dtype=torch.bool), LESION])
    kept = MIDDLE.keep(masks)
    assert torch.equal(kept, torch.stack([LESION, SHADOW, torch.zeros(32, 32, dtype=torch.bool), LESION]))


def test_pixels_that_touch_at_a_corner_are_one_object() -> None:
    mask = torch.eye(8, dtype=torch.bool)[None]
    assert torch.equal(MIDDLE.keep(mask), mask)


def test_keeping_twice_changes_nothing_and_adds_nothing() -> None:
    masks = torch.rand(3, 20, 28, generator=torch.Generator().manual_seed(0)) > 0.6
    kept = MIDDLE.keep(masks)
    assert not (kept & ~masks).any()
    assert torch.equal(MIDDLE.keep(kept), kept)


def test_the_map_is_alike_in_all_orientations() -> None:
    corner = SingleObject.of([disc(2, 2, 4).to(torch.uint8)])
    for turned in (corner.often.rot90(), corner.often.flip(0), corner.often.T):
        torch.testing.assert_close(turned, corner.often)
    masks = (LESION | SHADOW)[None]
    torch.testing.assert_close(MIDDLE.keep(masks.rot90(1, (1, 2))), MIDDLE.keep(masks).rot90(1, (1, 2)))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_of_what_is_taken_away_leave_no_doubt(n_classes: int) -> None:
    logits = torch.zeros(1, n_classes, 32, 32)
    logits[:, -1] = torch.where(LESION | SHADOW, 2.0, -2.0)
    changed = MIDDLE(logits)
    assert torch.equal(changed.argmax(1)[0] > 0, LESION)
    assert changed.softmax(1)[0, 0][SHADOW & ~LESION].min() > 0.999
    assert torch.equal(changed[:, :, LESION | ~SHADOW], logits[:, :, LESION | ~SHADOW])


def test_it_is_saved_like_a_network(tmp_path: Path) -> None:
    save_model(tmp_path / "single_object", MIDDLE, preprocessing={}, training_data={"frames": []})
    loaded, _ = load_model(tmp_path / "single_object")
    assert torch.equal(loaded.often, MIDDLE.often)


def test_there_must_be_masks() -> None:
    with pytest.raises(MaskError, match="at least one, got 0"):
        SingleObject.of([])
