"""Turn a refused name or settings table into one line that names the key, the rule and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from biostyle.errors import ConfigError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the closest known word.

    Parameters
    ----------
    word : str
        What somebody wrote.
    known : iterable of str
        What there is.

    Returns
    -------
    str
        A question, or nothing where no word is close.

    Examples
    --------
    >>> did_you_mean("n_step", ["n_steps", "seed"])
    "Did you mean 'n_steps'?"
    """
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1)
    return f"Did you mean {lowered[close[0]]!r}?" if close else ""


def check_domain(name: str, known: Collection[str]) -> str:
    """Check that there is a domain of that name.

    Parameters
    ----------
    name : str
        What somebody wrote.
    known : collection of str
        The domains there are.

    Returns
    -------
    str
        The same name.

    Raises
    ------
    ConfigError
        If it is unknown.

    Examples
    --------
    >>> check_domain("zeiss", ["nikon", "zeiss"])
    'zeiss'
    """
    if name not in known:
        hint = did_you_mean(name, known) or "Name one of these."
        raise ConfigError(f"domain must be one of {sorted(known)}, got {name!r}. {hint}")
    return name


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Describe the first problem pydantic found.

    Parameters
    ----------
    error : ValidationError
        What ``model.model_validate`` raised.
    model : type of BaseModel
        The model.
    where : str
        File the table came from.

    Returns
    -------
    str
        One line in the project's form.
    """
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _fields_at(model, problem["loc"][:-1])
        hint = did_you_mean(str(problem["loc"][-1]), known) or f"Known keys: {', '.join(known)}."
        return f"{key} must be a known key, got {problem['input']!r} ({where}). {hint}"
    if problem["type"] == "missing":
        return f"{key} must be given, got nothing ({where}). Add it."
    if problem["type"] == "value_error":  # raised by a validator of ours: "<field> must …, got …. <Remedy.>"
        rule, _, remedy = str(problem["ctx"]["error"]).partition(". ")
        return f"{key}{'.' if key else ''}{rule} ({where}). {remedy}"
    rule = problem["msg"].removeprefix("Input should be ")
    rule = rule[0].lower() + rule[1:]
    return f"{key} must be {rule}, got {problem['input']!r} ({where}). Correct it."


def _fields_at(model: Any, location: tuple[Any, ...]) -> list[str]:
    """Names of the fields of the nested model that a location in an error points at."""
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _model_in(model.model_fields[str(part)].annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    """The model inside an annotation such as ``dict[str, Model]`` or ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
