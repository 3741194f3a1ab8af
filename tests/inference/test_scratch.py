import os
import tempfile
from pathlib import Path

import pytest
import torch

from biostyle.errors import OutputError
from biostyle.inference.scratch import Scratch

CPU = torch.device("cpu")
SHAPE = (6, 5, 3)


@pytest.mark.parametrize("memory_bytes", [0, 10_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_come_back_as_they_were_written(memory_bytes: int, dtype: torch.dtype) -> None:
    with Scratch(memory_bytes, dtype, CPU) as scratch:
        regions = [scratch.allocate(SHAPE, spill=True) for _ in range(2)]
        values = [torch.randn(1, 3, 6, 5).to(dtype) for _ in range(2)]
        for region, whole in zip(regions, values, strict=True):
            assert region is not None
            region.write(4, whole[:, :, 4:])
            region.write(0, whole[:, :, :4])
        for region, whole in zip(regions, values, strict=True):
            assert region is not None
            assert (region.memory is None) == (memory_bytes == 0)
            assert torch.equal(region.read(2, 5), whole[:, :, 2:5])
            assert region.read(0, 6).is_contiguous(memory_format=torch.channels_last)


def test_memory_is_counted_and_given_back() -> None:
    with Scratch(6 * 5 * 3 * 4, torch.float32, CPU) as scratch:
        region = scratch.allocate(SHAPE, spill=False)
        assert region is not None
        assert scratch.allocate(SHAPE, spill=False) is None
        scratch.release(region)
        assert scratch.allocate((3, 5, 3), spill=False) is not None
        assert scratch.allocate(SHAPE, spill=False) is None
        assert scratch.file_bytes == 0


def test_room_in_the_file_is_used_again() -> None:
    with Scratch(0, torch.float32, CPU) as scratch:
        region = scratch.allocate(SHAPE, spill=True)
        assert region is not None
        scratch.release(region)
        assert scratch.allocate(SHAPE, spill=True) is region
        assert scratch.file_bytes == 360


@pytest.mark.parametrize("verb", ["write", "read"])
def test_says_what_happened_to_the_file(verb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with Scratch(0, torch.float32, CPU) as scratch:
        region = scratch.allocate((1024, 1024, 256), spill=True)
        assert region is not None
        with pytest.raises(OutputError, match=rf"must hold 1.0 GiB, got {os.strerror(2)}.*gone"):
            region.write(0, torch.zeros(1, 256, 1, 1024)) if verb == "write" else region.read(0, 1)
