"""Fixtures every test may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

# Read by torch when it is imported, here and in child processes: tiny networks are fastest on one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.simulated import TINY_CONFIG, write_tiny_challenge

if TYPE_CHECKING:
    from tests.fundus import FundusRun
    from tests.photographs import PhotographRun
    from tests.trained import Trained

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def isolated_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own data cache out of every test."""
    monkeypatch.setenv("BIOSTYLE_DATA", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def real_data() -> Path:
    """The folder of real images, or a skip when the machine has none."""
    folder = os.environ.get("BIOSTYLE_REAL_DATA")
    if not folder:
        pytest.skip("BIOSTYLE_REAL_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def biostyle() -> Invoke:
    """Call the command line in this process."""

    def invoke(*arguments: str | Path) -> Result:
        from biostyle.cli import cli

        return CliRunner().invoke(cli, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with ``SIM-A`` and ``SIM-B``; only to be read."""
    root = tmp_path_factory.mktemp("tiny") / "data"
    write_tiny_challenge(root)
    return root


@pytest.fixture(scope="session")
def tiny_config(tiny_data: Path) -> Path:
    """A configuration that runs in seconds: A is nikon, B are zeiss and artificial."""
    path = tiny_data.with_name("tiny.toml")
    path.write_text(TINY_CONFIG)
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_data: Path, tiny_config: Path, biostyle: Invoke) -> Path:
    """A finished run of the cell-tracking pipeline; only to be read."""
    out = tiny_data.with_name("run")
    result = biostyle("run", "cell-tracking", "--config", tiny_config, "--data-root", tiny_data, "--out", out)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A segmenter that knows simulated domain A well; only for slow tests."""
    from tests.trained import train_well

    return train_well(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def photograph_run(tmp_path_factory: pytest.TempPathFactory) -> PhotographRun:
    """Prepared simulated photographs and a segmenter of A; only to be read."""
    from tests.photographs import run_on_photographs

    return run_on_photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="session")
def fundus_run(tmp_path_factory: pytest.TempPathFactory) -> FundusRun:
    """Simulated retinas, good and degraded, and the networks that judge them; only to be read."""
    from tests.fundus import run_on_retinas

    return run_on_retinas(tmp_path_factory.mktemp("fundus"))


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run to play with."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))
