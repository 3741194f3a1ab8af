import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from biostyle.errors import ConfigError
from biostyle.validation import check_domain, did_you_mean, explain


class Inner(BaseModel):
    """A nested table."""

    model_config = ConfigDict(extra="forbid")

    n_steps: int = Field(5, ge=1)

    @model_validator(mode="after")
    def _is_not_thirteen(self) -> "Inner":
        if self.n_steps == 13:
            raise ValueError(f"n_steps must not be unlucky, got {self.n_steps}. Choose another.")
        return self


class Outer(BaseModel):
    """A file."""

    model_config = ConfigDict(extra="forbid")

    title: str
    inner: Inner = Inner()
    maybe: Inner | None = None
    many: dict[str, Inner] = {}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"title": "x", "titles": 1}, "titles must be a known key, got 1 (run.toml). Did you mean 'title'?"),
        (
            {"title": "x", "zzz": 1},
            "zzz must be a known key, got 1 (run.toml). Known keys: title, inner, maybe, many.",
        ),
        (
            {"title": "x", "inner": {"n_step": 3}},
            "inner.n_step must be a known key, got 3 (run.toml). Did you mean 'n_steps'?",
        ),
        (
            {"title": "x", "maybe": {"N_STEP": 3}},
            "maybe.N_STEP must be a known key, got 3 (run.toml). Did you mean 'n_steps'?",
        ),
        (
            {"title": "x", "many": {"b": {"steps": 3}}},
            "many.b.steps must be a known key, got 3 (run.toml). Did you mean 'n_steps'?",
        ),
        ({}, "title must be given, got nothing (run.toml). Add it."),
        (
            {"title": "x", "inner": {"n_steps": 0}},
            "inner.n_steps must be greater than or equal to 1, got 0 (run.toml). Correct it.",
        ),
        (
            {"title": "x", "inner": {"n_steps": "many"}},
            "inner.n_steps must be a valid integer, unable to parse string as an integer, got 'many' "
            "(run.toml). Correct it.",
        ),
        (
            {"title": "x", "inner": {"n_steps": 13}},
            "inner.n_steps must not be unlucky, got 13 (run.toml). Choose another.",
        ),
    ],
)
def test_explains_the_first_problem_in_one_line(table: dict[str, object], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(table)
    assert explain(caught.value, Outer, "run.toml") == expected


def test_suggests_nothing_where_nothing_is_close() -> None:
    assert did_you_mean("banana", ["n_steps", "seed"]) == ""
    assert did_you_mean("SEDE", ["n_steps", "Seed"]) == "Did you mean 'Seed'?"


def test_a_domain_is_known_or_named_with_those_there_are() -> None:
    assert check_domain("zeiss", {"zeiss": 1, "nikon": 2}) == "zeiss"
    with pytest.raises(
        ConfigError, match=r"one of \['nikon', 'zeiss'\], got 'zeis'\. Did you mean 'zeiss'\?"
    ):
        check_domain("zeis", ("zeiss", "nikon"))
    with pytest.raises(ConfigError, match=r"got 'qq'\. Name one of these\."):
        check_domain("qq", ["nikon"])
