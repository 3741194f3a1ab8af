"""Reading, computing and writing at the same time, in threads, without a change of the result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from biostyle.errors import InterruptedRunError
from biostyle.progress import Progress, SilentProgress

Item = TypeVar("Item")
_END = object()


def look_ahead(items: Iterator[Item], enabled: bool = True) -> Generator[Item, None, None]:
    """Get the next item in a thread while the caller is busy with this one.

    Parameters
    ----------
    items : iterator
        What to iterate over; one thread at a time asks it.
    enabled : bool
        False to get each item when it is asked for.

    Yields
    ------
    object
        The items in their order. An error of theirs is raised where the item would have come. When the generator is
        closed, nobody uses `items` any more.

    Examples
    --------
    >>> list(look_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    if not enabled:
        yield from items
        return
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, _END)
        while (item := following.result()) is not _END:
            following = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]


@dataclass
class Run:
    """What files that are processed at the same time share.

    Attributes
    ----------
    n_planes : int
        Planes to do, as far as known: one for each file that has not been opened.
    progress : Progress
        Whom to tell.
    """

    n_planes: int = 1
    progress: Progress = field(default_factory=SilentProgress)
    _n_done: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _computing: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def compute(self, work: Callable[[], Item]) -> Item:
        """Compute something while nobody else does.

        Parameters
        ----------
        work : callable
            What to compute.

        Returns
        -------
        object
            Its result.

        Raises
        ------
        InterruptedRunError
            If the run was stopped.
        """
        with self._computing:
            if self._stopped.is_set():
                raise InterruptedRunError(
                    "run must go on to finish the file, got an interruption. Run it again."
                )
            return work()

    def count(self, n_done: int = 0, n_found: int = 0) -> None:
        """Report planes.

        Parameters
        ----------
        n_done : int
            Planes that are done now.
        n_found : int
            Planes that were not known of.
        """
        with self._counting:
            self._n_done += n_done
            self.n_planes += n_found
            self.progress.update(self._n_done, max(self.n_planes, self._n_done), {})

    def stop(self) -> None:
        """Let files under way end without a result."""
        self._stopped.set()
