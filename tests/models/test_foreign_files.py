"""Tests of biostyle.models.foreign_files."""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path

import pytest
import torch

from biostyle.errors import CheckpointError
from biostyle.models.foreign_files import build_entry, load_network
from tests.foreign_segmenters import Smooth, write_exported, write_torchscript


class CreatesAFile:
    """What an attacker would put into a file: unpickling it creates a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def replace_member(content: bytes, pattern: str, new: bytes, renamed: str = "") -> bytes:
    """A zip archive with the members whose names match replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as archive:
        for name in old.namelist():
            found = re.search(pattern, name)
            archive.writestr(renamed or name if found else name, new if found else old.read(name))
    return out.getvalue()


def test_torchscript_comes_back_in_evaluation_mode(tmp_path: Path) -> None:
    content = write_torchscript(tmp_path / "a.pt", torch.nn.Dropout(0.5)).read_bytes()
    network = load_network("torchscript", content, "a.pt")
    assert not network.training
    assert torch.equal(network(torch.ones(9)), torch.ones(9))


@pytest.mark.parametrize("architecture", ["torchscript", "exported_program"])
@pytest.mark.parametrize("content", [b"", b"not a network", b"PK\x03\x04 truncated"])
def test_damaged_files_are_refused(architecture: str, content: bytes) -> None:
    with pytest.raises(
        CheckpointError, match=r"must be an? .*, got \w+: .+ \(net\)\. Write it with torch\.export"
    ):
        load_network(architecture, content, "net")


def test_a_pickled_file_of_weights_is_never_opened(tmp_path: Path) -> None:
    torch.save({"weights": CreatesAFile(tmp_path / "owned")}, tmp_path / "weights.pt")
    with pytest.raises(
        CheckpointError, match=r"must be a TorchScript file, got .*a file of weights alone needs an entry"
    ):
        load_network("torchscript", (tmp_path / "weights.pt").read_bytes(), "weights.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.slow
def test_programs_are_checked_before_they_are_loaded(tmp_path: Path) -> None:
    content = write_exported(tmp_path / "good.pt2").read_bytes()
    images = torch.rand(1, 1, 30, 32)
    torch.testing.assert_close(load_network("exported_program", content, "good")(images), Smooth()(images))

    fixed = write_exported(tmp_path / "fixed.pt2", fixed=True).read_bytes()
    with pytest.raises(
        CheckpointError, match=r"fixed shape \(2, 1, 64, 96\) \(fixed\)\. Export it again with dynamic"
    ):
        load_network("exported_program", fixed, "fixed")

    buffer = io.BytesIO()
    torch.save(CreatesAFile(tmp_path / "owned"), buffer)
    evil = replace_member(content, r"sample_inputs/", buffer.getvalue())
    with pytest.raises(CheckpointError, match=r"must be an exported program \(\.pt2\), got .+ \(evil\)"):
        load_network("exported_program", evil, "evil")
    for renamed in ("archive/data/constants/opaque_obj_0", "archive/data/aotinductor/model/a.so"):
        evil = replace_member(content, r"constants_config", b"", renamed)
        with pytest.raises(CheckpointError, match=rf"of tensors alone.*got \['{renamed}'\] \(evil\)"):
            load_network("exported_program", evil, "evil")
    older = replace_member(content, r"archive_format", b"", "version")
    with pytest.raises(CheckpointError, match=r"in the format of PyTorch 2\.8 or later, got"):
        load_network("exported_program", older, "older")
    assert not (tmp_path / "owned").exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.slow
def test_programs_of_several_inputs_are_refused(tmp_path: Path) -> None:
    class Two(torch.nn.Module):
        def forward(self, images: torch.Tensor, prompt: torch.Tensor) -> torch.Tensor:
            return images * prompt

    torch.export.save(
        torch.export.export(Two(), (torch.rand(2, 1, 4, 4), torch.rand(1))), tmp_path / "two.pt2"
    )
    with pytest.raises(
        CheckpointError, match=r"one batch \(N, 1, H, W\), got inputs of shape \[\(2, 1, 4, 4\), \(1,\)\]"
    ):
        load_network("exported_program", (tmp_path / "two.pt2").read_bytes(), "two")


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(
        CheckpointError, match=r"got ModuleNotFoundError: .*\(no_such_package:make\)\. Install"
    ):
        build_entry("no_such_package:make")
