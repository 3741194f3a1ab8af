from pathlib import Path

import numpy as np
import torch

from biostyle.artifacts import BuildOptions, read_record
from biostyle.data.enhancement import EnhancementSettings
from biostyle.data.fundus_facts import read_fundus_facts
from biostyle.data.prepared import load_prepared
from biostyle.io.photographs import read_photograph
from biostyle.stages.stylize_photographs import Steps, Stylizer, stylize_photographs, translated_path, unseen
from tests.fundus import FundusRun


def stylize(run: FundusRun, steps: Steps, out: Path) -> Path:
    return stylize_photographs(run.mixed, steps, out, device="cpu", options=BuildOptions())


def test_only_photographs_nobody_trained_on_are_translated(fundus_run: FundusRun, tmp_path: Path) -> None:
    out = stylize(fundus_run, (fundus_run.stylizer,), tmp_path / "out")
    frames = unseen(load_prepared(fundus_run.mixed))
    assert {row.split for row in frames} == {"validation", "test"}
    assert {path.stem for path in (out / "images").iterdir()} == {row.frame_id for row in frames}
    assert sorted(read_record(out)["request"]["inputs"]) == ["prepared", "step_0"]


def test_nothing_outside_of_the_field_of_view_changes(fundus_run: FundusRun, tmp_path: Path) -> None:
    domain, facts = load_prepared(fundus_run.mixed), read_fundus_facts(fundus_run.mixed)
    steps: dict[str, Steps] = {"gan": (fundus_run.stylizer,), "enhanced": (EnhancementSettings(),)}
    for name, candidate in steps.items():
        out = stylize(fundus_run, candidate, tmp_path / name)
        for row in unseen(domain):
            square, inside = domain.read_image(row), facts[row.frame_id].inside(64)
            translated = read_photograph(translated_path(out, row.frame_id))
            np.testing.assert_array_equal(translated[~inside], square[~inside])
            assert (translated[inside] != square[inside]).any()


def test_no_stylizer_changes_nothing(fundus_run: FundusRun, tmp_path: Path) -> None:
    out, domain = stylize(fundus_run, (), tmp_path / "out"), load_prepared(fundus_run.mixed)
    for row in unseen(domain):
        np.testing.assert_array_equal(
            read_photograph(translated_path(out, row.frame_id)), domain.read_image(row)
        )


def test_other_enhancement_is_another_request(fundus_run: FundusRun, tmp_path: Path) -> None:
    out = stylize(fundus_run, (EnhancementSettings(sharpening=2),), tmp_path / "out")
    assert read_record(out)["request"]["settings"]["steps"][0]["sharpening"] == 2


def test_steps_follow_each_other(fundus_run: FundusRun) -> None:
    domain, facts = load_prepared(fundus_run.mixed), read_fundus_facts(fundus_run.mixed)
    row, cpu = unseen(domain)[0], torch.device("cpu")
    square, inside = domain.read_image(row), facts[row.frame_id].inside(64)
    first, second = Stylizer((fundus_run.stylizer,), cpu), Stylizer((EnhancementSettings(),), cpu)
    both = Stylizer((fundus_run.stylizer, EnhancementSettings()), cpu)
    np.testing.assert_array_equal(both(square, inside), second(first(square, inside), inside))
