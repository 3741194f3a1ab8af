"""Items come in order and errors in their place, whether or not somebody looks ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from biostyle.errors import InterruptedRunError
from biostyle.stages.overlap import Run, look_ahead


@pytest.mark.parametrize("enabled", [True, False])
def test_items_come_in_order_and_errors_in_their_place(enabled: bool) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("third")

    found = look_ahead(items(), enabled)
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(found)


def test_the_next_item_is_got_while_one_is_used() -> None:
    asked = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number, event in enumerate(asked):
            event.set()
            yield number

    found = look_ahead(items())
    assert next(found) == 0
    assert asked[1].wait(10)
    time.sleep(0.05)
    assert not asked[2].is_set()  # one ahead and no more: memory stays the same


def test_nobody_uses_the_items_after_closing() -> None:
    busy, closed = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        for number in range(3):
            busy.set()
            time.sleep(0.05)
            assert not closed.is_set()
            busy.clear()
            yield number

    found = look_ahead(items())
    next(found)
    found.close()
    closed.set()
    assert not busy.is_set()


class Heard:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def stage(self, name: str, status: str) -> None:
        raise NotImplementedError

    def note(self, text: str) -> None:
        raise NotImplementedError

    def update(self, step: int, n_steps: int, losses: dict[str, float]) -> None:
        self.steps.append((step, n_steps))


def test_planes_are_counted_as_files_are_opened() -> None:
    heard = Heard()
    run = Run(2, heard)
    run.count(n_found=4)
    run.count(n_done=5)
    run.count(n_done=1)
    assert heard.steps == [(0, 6), (5, 6), (6, 6)]


def test_one_computes_at_a_time_until_the_run_is_stopped() -> None:
    run, inside, most = Run(), [], []

    def work() -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()

    threads = [threading.Thread(target=run.compute, args=(work,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4
    run.stop()
    with pytest.raises(InterruptedRunError, match="got an interruption"):
        run.compute(work)
