from pathlib import Path

import pytest

from biostyle.artifacts import BuildOptions
from biostyle.data.sources.cell_tracking import read_sequences
from biostyle.errors import ArtifactMismatchError
from biostyle.stages.simulate import simulate
from tests.simulated import read_tree


def test_makes_two_challenge_folders_that_depend_on_the_seed_alone(tmp_path: Path) -> None:
    first, second, third = (
        simulate(tmp_path / name, seed=seed, n_frames=2, size_px=64, options=BuildOptions())
        for name, seed in (("first", 1), ("second", 1), ("third", 2))
    )
    for folder in ("SIM-A", "SIM-B"):
        frames = read_sequences(first / folder)
        assert [frame.number for frame in frames] == [0, 1]
        assert all(frame.silver for frame in frames)
    assert read_tree(first) == read_tree(second)
    assert read_tree(first)["SIM-B/01/t000.tif"] != read_tree(third)["SIM-B/01/t000.tif"]
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['n_frames'\]"):
        simulate(first, seed=1, n_frames=3, size_px=64, options=BuildOptions())
