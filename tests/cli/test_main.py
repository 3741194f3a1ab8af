"""The command line as a program: how fast it answers, what it loads, how it fails."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from biostyle import __version__
from biostyle.cli import cli
from biostyle.errors import DownloadError, InterruptedRunError, TrainingError

HEAVY = {"torch", "numpy", "pandas", "skimage", "scipy", "rich", "pydantic", "matplotlib", "tifffile"}


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_answers_at_once(option: str) -> None:
    times_s = []
    for _ in range(5):
        started = time.perf_counter()
        assert python(f"from biostyle.cli import main; main(['{option}'])").returncode == 0
        times_s.append(time.perf_counter() - started)
    assert min(times_s) < 0.3


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "cell-tracking", "--help"]])
def test_loads_nothing_heavy_before_a_command_runs(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom biostyle.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        f"print(sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"
    )
    assert python(script).stderr == "[]\n"


def test_lists_the_verbs_in_the_order_of_a_run() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    verbs = [
        "demo",
        "run",
        "data",
        "fetch",
        "prepare",
        "train-segmenter",
        "match",
        "train-stylizer",
        "select",
        "predict",
        "score",
        "report",
    ]
    places = [result.output.index(f"\n  {verb} ") for verb in verbs]
    assert places == sorted(places)
    assert CliRunner().invoke(cli, ["--version"]).output == f"biostyle, version {__version__}\n"


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(cli, [verb, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DownloadError("the network"), 1, "DownloadError: the network\n"),
        (TrainingError("loss must be finite"), 1, "TrainingError: loss must be finite\n"),
        (InterruptedRunError("stopped at step 3"), 4, "InterruptedRunError: stopped at step 3\n"),
        (KeyboardInterrupt(), 4, "Stopped. Run the same command again; finished stages are kept.\n"),
    ],
)
def test_errors_made_on_purpose_are_one_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("biostyle.config.load_config", fail)
    result = CliRunner().invoke(cli, ["demo"])
    assert (result.exit_code, result.stderr, result.stdout) == (code, line, "")


def test_a_bug_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("biostyle.config.load_config", fail)
    assert isinstance(CliRunner().invoke(cli, ["demo"]).exception, ZeroDivisionError)


def test_an_unknown_verb_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli, ["segmentate"])
    assert result.exit_code == 2
    assert "No such command 'segmentate'" in result.stderr
