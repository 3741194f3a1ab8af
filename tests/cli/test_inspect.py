"""The verb: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from biostyle.cli import cli
from biostyle.data.sources.simulated import simulate_pair


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Both simulated microscopes, 3 frames each."""
    return simulate_pair(tmp_path_factory.mktemp("data"), 0, 3, (128, 160))


def run(*arguments: object) -> Result:
    """Run the verb through the whole command line."""
    return CliRunner().invoke(cli, ["inspect", *(str(argument) for argument in arguments)])


def test_table_plan_and_file(folders: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(
        *folders, "--object-diameter-a", 20, "--object-diameter-b", 36, "--polarity", "inverted",
        "--tone", "square_root", "-o", tmp_path / "inspection",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "128 x 160" in result.output
    assert "uint16" in result.output
    assert "B's objects are 1.8x larger (36 px against 20 px, as given): rescale by 0.56." in result.output
    assert "steps: tone square_root, polarity" in result.output
    written = json.loads((tmp_path / "inspection" / "inspection.json").read_text())
    assert [step["kind"] for step in written["plan"]["steps"]][:2] == ["tone", "polarity"]


def test_json_alone_and_nothing_written(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*folders, "--json", "--n-frames", 1)
    found = json.loads(result.output)
    assert set(found) == {"schema", "a", "b", "plan"}
    assert found["a"]["n_frames"] == 1
    assert found["a"]["foreground_source"] == "masks"
    assert found["b"]["foreground_source"] is None
    assert not list(tmp_path.iterdir())


def test_bad_data_exit_with_3(folders: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(folders[0], tmp_path)
    assert result.exit_code == 3
    assert f"got none ({tmp_path})" in result.stderr


def test_bad_usage_exits_with_2(folders: tuple[Path, Path]) -> None:
    assert run(*folders, "--object-diameter-a", 0).exit_code == 2
