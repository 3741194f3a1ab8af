import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from biostyle.artifacts import (
    RECORD,
    BuildOptions,
    build,
    claim_run_directory,
    fingerprint,
    read_record,
    versions,
    write_json,
)
from biostyle.errors import (
    ArtifactMismatchError,
    ChecksumError,
    DataError,
    InterruptedRunError,
    OutputError,
)
from biostyle.io.integrity import sha256

Work = Callable[[Path], None]


class Recorder:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, str]] = []

    def stage(self, name: str, status: str) -> None:
        self.stages.append((Path(name).name, status))

    def update(self, step: int, n_steps: int, losses: dict[str, float]) -> None:
        raise AssertionError

    def note(self, text: str) -> None:
        raise AssertionError


def write(text: str = "result") -> Work:
    """Work that writes two files."""

    def work(partial: Path) -> None:
        (partial / "deep").mkdir(exist_ok=True)
        (partial / "deep" / "a.txt").write_text(text)
        (partial / "b.txt").write_text("b")

    return work


def forbidden(partial: Path) -> None:
    """Work that must not be done."""
    raise AssertionError(partial)


def stop_after_checkpoint(partial: Path) -> None:
    """Work that is interrupted after it saved a state."""
    (partial / "resume").mkdir(exist_ok=True)
    (partial / "resume" / "state").write_text("step 3")
    raise InterruptedRunError("training was stopped at step 3")


def make(
    out: Path,
    work: Work = forbidden,
    *,
    seed: int = 0,
    inputs: dict[str, Path] | None = None,
    **options: bool,
) -> list[tuple[str, str]]:
    """Build ``out`` and return what was reported."""
    recorder = Recorder()
    settings = {"training": {"n_steps": 5, "betas": (0.5, 0.999)}, "seed": seed}
    build(out, "train", settings, inputs or {}, work, BuildOptions(**options, progress=recorder))
    return recorder.stages


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "model"


def test_a_finished_directory_holds_its_files_and_their_record(out: Path) -> None:
    assert make(out, write()) == [("model", "making")]
    assert sorted(path.name for path in out.iterdir()) == [RECORD, "b.txt", "deep"]
    assert not out.with_name("model.partial").exists()
    record = read_record(out)
    assert list(record["files"]) == ["b.txt", "deep/a.txt"]
    assert record["request"]["settings"]["training"] == {"n_steps": 5, "betas": [0.5, 0.999]}
    assert record["made_by"] == versions()
    assert record["fingerprint"] == fingerprint(out)


def test_the_same_request_is_skipped_and_another_is_refused_by_name(out: Path) -> None:
    make(out, write())
    assert make(out) == [("model", "up to date")]
    with pytest.raises(
        ArtifactMismatchError, match=r"model was made with other settings; they differ in \['seed'\]"
    ):
        make(out, seed=1)
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['inputs\.raw'\]"):
        make(out, inputs={"raw": out.parent})


def test_names_every_differing_key_of_nested_settings(out: Path) -> None:
    make(out, write())
    other = {"training": {"n_steps": 6, "beta": 1}, "seed": 0}
    expected = r"\['stage', 'training\.beta', 'training\.betas', 'training\.n_steps'\]|\['training\.beta', .*'stage'\]"
    with pytest.raises(ArtifactMismatchError, match=expected):
        build(out, "predict", other, {}, forbidden, BuildOptions())


def test_replacing_keeps_the_old_one_until_the_new_one_is_complete(out: Path) -> None:
    make(out, write("old"))

    def fail(partial: Path) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        make(out, fail, seed=1, replace=True)
    assert (out / "deep" / "a.txt").read_text() == "old"
    assert make(out, write("new"), seed=1, replace=True) == [("model", "making")]
    assert (out / "deep" / "a.txt").read_text() == "new"
    assert read_record(out)["request"]["settings"]["seed"] == 1
    assert sorted(path.name for path in out.parent.iterdir()) == [".model.lock", "model"]


def test_a_kill_in_the_middle_leaves_only_a_partial_directory_and_the_next_run_starts_anew(out: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from biostyle.artifacts import BuildOptions, build

def work(partial):
    (partial / "half.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

settings = {"training": {"n_steps": 5, "betas": (0.5, 0.999)}, "seed": 0}
build(Path(sys.argv[1]), "train", settings, {}, work, BuildOptions())
"""
    killed = subprocess.run([sys.executable, "-c", script, str(out)], check=False)
    assert killed.returncode == -9
    assert not out.exists()
    assert (out.with_name("model.partial") / "half.txt").is_file()
    make(out, write())
    assert not (out / "half.txt").exists()
    assert not out.with_name("model.partial").exists()


def test_an_interrupted_training_waits_for_resume(out: Path) -> None:
    with pytest.raises(InterruptedRunError, match="stopped at step 3"):
        make(out, stop_after_checkpoint)
    assert not out.exists()
    with pytest.raises(
        InterruptedRunError, match=r"model\.partial holds an interrupted .* --resume"
    ) as caught:
        make(out)
    assert caught.value.exit_code == 4

    def go_on(partial: Path) -> None:
        assert (partial / "resume" / "state").read_text() == "step 3"
        write()(partial)

    assert make(out, go_on, resume=True) == [("model", "resuming")]
    assert sorted(path.name for path in out.iterdir()) == [RECORD, "b.txt", "deep"]


def test_an_interrupted_training_with_other_settings_is_not_mixed_in(out: Path) -> None:
    with pytest.raises(InterruptedRunError):
        make(out, stop_after_checkpoint)
    with pytest.raises(
        ArtifactMismatchError, match=r"model\.partial holds .* they differ in \['seed'\]"
    ) as caught:
        make(out, seed=1, resume=True)
    assert caught.value.exit_code == 3

    def fresh(partial: Path) -> None:
        assert not (partial / "resume").exists()
        write()(partial)

    said = "making; discarded an interrupted training with other seed"
    assert make(out, fresh, seed=1, replace=True) == [("model", said)]


def test_an_interrupted_training_that_lost_its_request_is_refused(out: Path) -> None:
    with pytest.raises(InterruptedRunError):
        make(out, stop_after_checkpoint)
    (out.with_name("model.partial") / "request.json").write_text('{"cut')
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['request'\]"):
        make(out, resume=True)


@pytest.mark.parametrize(
    ("alter", "named"),
    [
        (lambda out: (out / "b.txt").write_text("c"), "b.txt"),
        (lambda out: (out / "b.txt").unlink(), "b.txt"),
        (lambda out: (out / "deep" / "new.txt").touch(), "deep/new.txt"),
    ],
    ids=["altered", "missing", "new"],
)
def test_an_altered_file_is_noticed_wherever_it_is_read(
    alter: Callable[[Path], object], named: str, out: Path, tmp_path: Path
) -> None:
    make(out, write())
    alter(out)
    message = rf"model/{named} must be as it was made, got a change in 1 file\(s\) .* Delete .*model and run"
    for use in (
        lambda: read_record(out),
        lambda: fingerprint(out),
        lambda: make(out),
        lambda: make(tmp_path / "next", inputs={"model": out}),
    ):
        with pytest.raises(ChecksumError, match=message):
            use()


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_refuses_a_directory_without_a_readable_record(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / RECORD).write_text(content)
    with pytest.raises(
        DataError, match=rf"must be a finished directory .* got .+ \({tmp_path}\)\. Run the stage"
    ):
        read_record(tmp_path)


def test_refuses_to_touch_what_it_did_not_make(out: Path) -> None:
    out.mkdir(parents=True)
    (out / "thesis.tex").write_text("years of work")
    for options in ({}, {"replace": True}, {"dry_run": True}):
        with pytest.raises(ArtifactMismatchError, match=r"must be new or .* got something else \(.*model\)"):
            make(out, **options)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_says_that_the_disk_is_full(out: Path) -> None:
    def fill(partial: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(partial / "big.tif"))

    with pytest.raises(
        OutputError, match=r"got No space left on device \(.*model\.partial/big\.tif\)\. Free"
    ) as caught:
        make(out, fill)
    assert caught.value.exit_code == 3
    assert not out.exists()


def test_names_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"must be writable, got .+ \(.*file.*\)\. Free space"):
        make(tmp_path / "file" / "model")


def test_an_input_that_cannot_be_read_is_not_blamed_on_the_output(out: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()

    def fail(partial: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(raw / "t000.tif"))

    with pytest.raises(
        DataError, match=r"raw must be readable, got Permission denied \(.*raw/t000\.tif\)"
    ) as caught:
        make(out, fail, inputs={"raw": raw})
    assert not isinstance(caught.value, OutputError)


def test_a_kill_while_finishing_costs_no_training(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(partial: Path) -> None:
        (partial / "resume").mkdir(exist_ok=True)
        (partial / "resume" / "state").write_text("step 3")
        write()(partial)

    def kill(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("biostyle.artifacts.flush", kill)
        with pytest.raises(KeyboardInterrupt):
            make(out, train)
    assert (out.with_name("model.partial") / "resume" / "state").read_text() == "step 3"
    assert make(out, train, resume=True) == [("model", "resuming")]
    assert list(read_record(out)["files"]) == ["b.txt", "deep/a.txt"]


def test_a_dry_run_makes_nothing_and_marks_what_depends_on_a_change(tmp_path: Path) -> None:
    raw, first, second, other = (tmp_path / name for name in ("raw", "first", "second", "other"))
    raw.mkdir()
    (raw / "t000.tif").write_bytes(b"frame")

    def run(seed: int, options: BuildOptions, work: Work) -> None:
        build(first, "prepare", {"seed": seed}, {"raw": raw}, work, options)
        build(second, "train", {"seed": seed}, {"prepared": first, "raw": raw}, work, options)
        build(other, "train", {}, {"raw": raw}, work, options)

    def plan(seed: int) -> dict[str, str]:
        recorder = Recorder()
        run(seed, BuildOptions(dry_run=True, progress=recorder), forbidden)
        return dict(recorder.stages)

    assert set(plan(0).values()) == {"would be made"}
    assert list(tmp_path.iterdir()) == [raw]
    run(0, BuildOptions(), write())
    assert set(plan(0).values()) == {"up to date"}
    assert plan(1) == {
        "first": "would be made again (changed: seed)",
        "second": "would be made again (changed: prepared, seed)",
        "other": "up to date",
    }


def test_a_changed_input_is_a_changed_request(out: Path, tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text("1")
    make(out, write(), inputs={"raw": tmp_path / "raw.csv"})
    (tmp_path / "raw.csv").write_text("2")
    with pytest.raises(ArtifactMismatchError, match=r"\['inputs\.raw'\]"):
        make(out, inputs={"raw": tmp_path / "raw.csv"})


def test_a_fingerprint_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    for name, content in (("one", "x"), ("two", "x"), ("three", "y")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(content)
    one, two, three = (fingerprint(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two != three
    (tmp_path / "two" / "a.txt").rename(tmp_path / "two" / "b.txt")
    assert fingerprint(tmp_path / "two") != one
    with pytest.raises(DataError, match=rf"must exist, got nothing there \({tmp_path}/four\)"):
        fingerprint(tmp_path / "four")


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make(tmp_path / name, write())
    assert (tmp_path / "one" / RECORD).read_bytes() == (tmp_path / "two" / RECORD).read_bytes()


def test_json_is_the_same_for_the_same_value(tmp_path: Path) -> None:
    write_json(tmp_path / "one.json", {"b": 1, "a": [2.5]})
    write_json(tmp_path / "two.json", {"a": [2.5], "b": 1})
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    with pytest.raises(ValueError, match="nan"):
        write_json(tmp_path / "nan.json", float("nan"))


def test_a_run_directory_belongs_to_one_pipeline(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "t3"
    claim_run_directory(out, "cell-tracking", "seed = 0\n", BuildOptions(dry_run=True))
    assert not out.exists()
    for seed in (0, 1):
        claim_run_directory(out, "cell-tracking", f"seed = {seed}\n", BuildOptions())
        assert (out / "config.toml").read_text() == f"seed = {seed}\n"
    with pytest.raises(ArtifactMismatchError, match=r"hold a demo run, got cell-tracking \(.*t3\)"):
        claim_run_directory(out, "demo", "", BuildOptions())
    assert json.loads((out / "run.json").read_text())["pipeline"] == "cell-tracking"


def test_a_run_directory_must_not_hold_anything_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ArtifactMismatchError, match=rf"got no biostyle run \({tmp_path}\)"):
        claim_run_directory(tmp_path, "demo", "", BuildOptions())
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ArtifactMismatchError, match=r"must name a pipeline, got 'pipeline' \(.*run\.json\)"):
        claim_run_directory(tmp_path, "demo", "", BuildOptions())
    with pytest.raises(OutputError, match=r"must be writable, got .+ \(.*thesis\.tex"):
        claim_run_directory(tmp_path / "thesis.tex" / "run", "demo", "", BuildOptions())


def test_a_file_is_hashed_once_as_long_as_nothing_writes_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raw").mkdir()
    file = tmp_path / "raw" / "a.txt"
    file.write_text("1")
    hashed: list[Path] = []
    monkeypatch.setattr("biostyle.artifacts.sha256", lambda path: hashed.append(path) or sha256(path))
    first = [fingerprint(tmp_path / "raw") for _ in range(2)]
    assert len(hashed) == 2  # just written: it could be written again without a trace
    monkeypatch.setattr("biostyle.artifacts.SETTLED_NS", -1)
    assert [fingerprint(tmp_path / "raw") for _ in range(3)] == [*first, first[0]]
    assert len(hashed) == 3
    state = file.stat()
    file.write_text("2 and more")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert fingerprint(tmp_path / "raw") != first[0]
    assert len(hashed) == 4
