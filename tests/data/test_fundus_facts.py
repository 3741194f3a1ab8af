from pathlib import Path

import numpy as np
import pytest

from biostyle.data.field_of_view import FieldOfView
from biostyle.data.fundus_facts import FundusFacts, read_fundus_facts, write_fundus_tables, write_square
from biostyle.data.prepared import load_prepared
from biostyle.errors import ImageError, OutputError

FOV = FieldOfView(31.5, 31.25, 30.0, 64, 64)
SQUARE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
MASK = np.zeros((32, 32), np.uint8)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    facts = {"a": FundusFacts("a", "usable", 3, FOV), "b": FundusFacts("a", None, None, FOV)}
    rows = [write_square(tmp_path, name, SQUARE, mask) for name, mask in (("a", MASK), ("b", None))]
    rows = [row | {"sequence": "patient", "number": n, "split": "test"} for n, row in enumerate(rows)]
    write_fundus_tables(tmp_path, rows, facts, "Retinas")
    domain = load_prepared(tmp_path)
    assert read_fundus_facts(tmp_path) == facts
    assert (domain.title, [bool(row.gold) for row in domain.rows]) == ("Retinas", [True, False])
    np.testing.assert_array_equal(domain.read_image(domain.rows[0]), SQUARE)
    np.testing.assert_array_equal(domain.read_truth(domain.rows[0])[0], MASK)


def test_what_is_outside_of_the_circle_is_not_inside() -> None:
    inside = FundusFacts("a", None, None, FOV).inside(32)
    assert (inside.shape, inside[16, 16], inside[0, 0]) == ((32, 32), True, False)


def test_another_directory_has_no_facts(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"must have fundus\.csv, got FileNotFound.*{tmp_path.name}"):
        read_fundus_facts(tmp_path)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"got No such file.*absent"):
        write_fundus_tables(tmp_path / "absent", [], {}, "Good")
