"""Several options as one decorator, for verbs that share them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])


def all_of(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Join decorators.

    Parameters
    ----------
    *options : callable
        What ``click.option`` and ``click.argument`` return.

    Returns
    -------
    callable
        A decorator that adds them; the help shows them in this order.
    """

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
