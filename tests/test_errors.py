import inspect

import pytest

from biostyle import errors
from biostyle.errors import BiostyleError, DataError

ALL = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, Exception)]


@pytest.mark.parametrize("error", ALL)
def test_bad_data_exits_with_3_and_an_interruption_with_4(error: type[BiostyleError]) -> None:
    assert issubclass(error, BiostyleError)
    expected = 3 if issubclass(error, DataError) else 4 if error is errors.InterruptedRunError else 1
    assert error.exit_code == expected


@pytest.mark.parametrize("error", ALL)
def test_the_tree_at_the_top_of_the_file_names_every_error(error: type[BiostyleError]) -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if f" {error.__name__} " in f" {line} "]
    assert len(lines) == 1
    own_column = lines[0].replace("│", " ").replace("├──", " ").replace("└──", " ").split()[1]
    # of the errors below another one, only that one's number is written
    assert own_column == str(error.exit_code) or error.__base__ is not BiostyleError
