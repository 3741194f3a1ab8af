"""Threads for networks so small that sharing their work costs more than doing it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def n_threads() -> Iterator[int]:
    """Compute in one thread; yields how many there were."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield before
    torch.set_num_threads(before)


@pytest.fixture
def all_threads(n_threads: int) -> None:
    """Compute as users do, where equality to the bit depends on it."""
    torch.set_num_threads(n_threads)
