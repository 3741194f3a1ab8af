import csv
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image

from biostyle.errors import CheckpointError, InterruptedRunError, TrainingError
from biostyle.training.seeding import RandomStream
from biostyle.training.session import SessionSettings, TrainingSession


def settings(**changes: int) -> SessionSettings:
    """Ten steps, a row every four, a checkpoint every three."""
    return SessionSettings(
        **{"n_steps": 10, "log_every": 4, "sample_every": 0, "checkpoint_every": 3} | changes
    )


def read_history(out: Path) -> list[dict[str, float]]:
    with (out / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_counts_from_zero_and_logs_means(tmp_path: Path) -> None:
    told: list[tuple[int, int, dict[str, float]]] = []
    session = TrainingSession(tmp_path, settings(), {}, on_progress=lambda *news: told.append(news))
    steps = []
    for step in session.steps():
        steps.append(step)
        session.record({"loss": torch.tensor(float(step)), "other": torch.tensor(1.0, dtype=torch.bfloat16)})
    assert steps == list(range(10))
    expected = [(4, 1.5), (8, 5.5), (10, 8.5)]
    assert [(row["step"], row["loss"]) for row in read_history(tmp_path)] == expected
    assert [(step, n_steps, losses["loss"]) for step, n_steps, losses in told] == [
        (s, 10, m) for s, m in expected
    ]
    assert {row["other"] for row in read_history(tmp_path)} == {1.0}


def test_draws_samples_at_intervals_and_at_the_end(tmp_path: Path) -> None:
    image = torch.full((1, 2, 3), 0.2)
    session = TrainingSession(tmp_path, settings(sample_every=4), {}, lambda: [[image, image]])
    for _ in session.steps():
        session.record({"loss": torch.tensor(0.0)})
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["step_000004.png", "step_000008.png", "step_000010.png"]
    with Image.open(tmp_path / "samples" / names[0]) as file:
        assert file.size == (6, 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_and_resuming_loses_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    def run(out: Path, stop_in_step: int | None = None) -> list[float]:
        out.mkdir(exist_ok=True)
        random = RandomStream(0)
        session = TrainingSession(out, settings(), {"random": random})
        drawn = []
        for step in session.steps():
            if step == stop_in_step:
                signal.raise_signal(number)
            drawn.append(torch.rand((), generator=random.generator).item())
            session.record({"loss": torch.tensor(drawn[-1])})
        return drawn

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    straight = run(tmp_path / "straight")
    with pytest.raises(
        InterruptedRunError, match=r"stopped at step 5 of 10 \(.*stopped\)\. .*--resume"
    ) as caught:
        run(tmp_path / "stopped", stop_in_step=4)
    assert caught.value.exit_code == 4
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert run(tmp_path / "stopped") == straight[5:]
    assert (tmp_path / "stopped" / "history.csv").read_bytes() == (
        tmp_path / "straight" / "history.csv"
    ).read_bytes()


def test_a_kill_goes_back_to_the_last_checkpoint(tmp_path: Path) -> None:
    session = TrainingSession(tmp_path, settings(), {})
    for step in session.steps():
        session.record({"loss": torch.tensor(float(step))})
        if step == 7:
            break  # nothing more is written, as after a kill
    again = TrainingSession(tmp_path, settings(), {})
    steps = []
    for step in again.steps():
        steps.append(step)
        again.record({"loss": torch.tensor(float(step))})
    assert steps == [6, 7, 8, 9]
    assert [row["loss"] for row in read_history(tmp_path)] == [1.5, 5.5, 8.5]


def test_a_signal_during_the_last_step_lets_it_finish(tmp_path: Path) -> None:
    session = TrainingSession(tmp_path, settings(n_steps=2), {})
    for step in session.steps():
        if step == 1:
            signal.raise_signal(signal.SIGINT)
        session.record({"loss": torch.tensor(0.0)})
    assert session.step == 2


def test_a_second_signal_acts_as_usual(tmp_path: Path) -> None:
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        steps = TrainingSession(tmp_path, settings(), {}).steps()
        next(steps)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        steps.close()
    finally:
        signal.signal(signal.SIGINT, usual)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_training(value: float, tmp_path: Path) -> None:
    session = TrainingSession(tmp_path, settings(log_every=1), {})
    steps = session.steps()
    next(steps)
    session.record({"cycle_a": torch.tensor(0.5)})
    next(steps)
    session.record({"cycle_a": torch.tensor(value)})
    with pytest.raises(TrainingError, match=rf"cycle_a must be finite, got {value} at step 2 \(.*\)\. Lower"):
        next(steps)


def test_refuses_a_broken_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "state.safetensors").write_bytes(b"cut short")
    with pytest.raises(CheckpointError, match=r"must be readable, got .* \(.*state\.safetensors\)"):
        TrainingSession(tmp_path, settings(), {})


def test_when_something_is_written_down_is_no_part_of_a_request() -> None:
    one, other = settings(), settings(log_every=1, sample_every=7, checkpoint_every=9)
    assert one.request() == other.request() == {"n_steps": 10}
    assert settings(n_steps=11).request() != one.request()
