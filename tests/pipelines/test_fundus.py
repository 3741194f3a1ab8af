"""The fundus pipeline as somebody runs it, on simulated retinas."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from biostyle.config import load_config
from biostyle.data.sources.simulated_fundus import simulate_retina
from biostyle.errors import ConfigError
from biostyle.pipelines.fundus import FundusConfig, find_stylizer
from tests.conftest import Invoke
from tests.fundus import CLASSIFIER, RESTORER, SEGMENTER, SETTINGS, SMALL, SPLIT, STYLIZER, FundusRun

pytestmark = pytest.mark.slow
# Good and two kinds of poor photographs, three judges, a restorer and two stylizers; good ones judged before and after five
# candidates, which are translations too; before, four and five candidates judged and translated; two choices; and the report.
N_STAGES = 3 + 3 + 3 + (1 + 2 * 5) + (1 + 2 * 4) + (1 + 2 * 5) + 2 * 2 + 2 + 1  # 2 * 2: ceilings


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tomli_w

    settings = FundusConfig(
        kinds=("mixed", "blur"),
        n_panels=1,
        fundus=SETTINGS,
        split=SPLIT,
        judge_input=SMALL,
        quality=CLASSIFIER,
        grader=CLASSIFIER,
        segmenter=SEGMENTER,
        restorer=RESTORER,
        stylizer=STYLIZER,
    )
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
    return path


def run(biostyle: Invoke, config: Path, data: Path, out: Path, *more: str) -> Any:
    return biostyle(
        "run",
        "fundus",
        "--config",
        config,
        "--data-root",
        data,
        "--out",
        out,
        "--device",
        "cpu",
        "--with-ceiling",
        *more,
    )


@pytest.fixture(scope="module")
def finished(
    biostyle: Invoke, config: Path, fundus_run: FundusRun, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    result = run(biostyle, config, fundus_run.data, out)
    assert result.exit_code == 0, result.output
    assert "Verdict: " in result.stdout
    assert str(out / "report" / "index.html") in result.stdout
    return out


@pytest.fixture
def summary(finished: Path) -> dict[str, Any]:
    return json.loads((finished / "report" / "summary.json").read_text(encoding="utf-8"))


def test_the_summary_is_as_agreed(summary: dict[str, Any]) -> None:
    assert (summary["schema"], summary["pipeline"]) == (1, "fundus")
    for when in ("before", "after"):
        assert sum(summary["quality"][when][name] for name in ("good", "usable", "reject")) == pytest.approx(
            1
        )
    shift = summary["quality"]["net_shift_to_good"]
    assert {"value", "ci95", "noise_floor"} <= set(shift)
    assert shift["noise_floor"] == summary["classifier"]["noise_floor"]
    assert set(summary["grading"]) == {"kappa_before", "kappa_after", "mean_grade_shift"}
    assert set(summary["vessels"]) == {"f_before", "f_after", "f_clean", "f_ceiling"}
    assert summary["verdict"] in ("adopt", "adopt with care", "don't adapt")
    domains = summary["domains"]
    assert list(domains) == ["mixed", "blur"]
    assert list(domains["mixed"]["candidates"]) == [
        "before",
        "matching_gentle",
        "restored",
        "restored_gentle",
        "agnostic",
    ]
    assert list(domains["blur"]["candidates"]) == [
        "before",
        "matching_gentle",
        "restored",
        "restored_gentle",
        "agnostic",
        "specific",
    ]


def test_leaving_photographs_as_they_are_changes_nothing(summary: dict[str, Any]) -> None:
    for domain in summary["domains"].values():
        same = domain["candidates"]["before"]
        shift = np.array(same["quality"]["shift"])
        np.testing.assert_array_equal(shift, np.diag(np.diag(shift)))
        assert same["grading"]["kappa_before"] == same["grading"]["kappa_after"]
        assert same["vessels"]["f_before"] == same["vessels"]["f_after"]
        assert same["warnings"] == []


def test_strata_add_up_to_the_whole(summary: dict[str, Any]) -> None:
    for domain in summary["domains"].values():
        for row in domain["candidates"].values():
            total = np.sum(list(row["quality"]["by_grade"].values()), axis=0)
            np.testing.assert_array_equal(total, row["quality"]["shift"])
            assert total.sum() == domain["n"]


def test_the_report_shows_everything(finished: Path, summary: dict[str, Any]) -> None:
    page = (finished / "report" / "index.html").read_text(encoding="utf-8")
    text = (finished / "report" / "report.md").read_text(encoding="utf-8")
    for shown in ("Specific stylizer", "Illumination + blur + spots", "Verdict", "noise floor"):
        assert shown in page
        assert shown in text
    assert "http://" not in page
    assert 'src="data:image/png;base64,' in page
    assert page.count('<figure class="panel">') == 2
    scores = pd.read_csv(finished / "report" / "scores.csv")
    n = sum(len(domain["candidates"]) * domain["n"] for domain in summary["domains"].values())
    assert len(scores) == n
    assert set(scores["split"]) == {"test"}


def test_a_second_run_makes_nothing(
    biostyle: Invoke, config: Path, fundus_run: FundusRun, finished: Path
) -> None:
    result = run(biostyle, config, fundus_run.data, finished, "--json")
    lines = [line.split(maxsplit=1)[1] for line in result.stderr.splitlines() if line.strip()]
    assert lines == ["up to date"] * N_STAGES
    assert json.loads(result.stdout)["pipeline"] == "fundus"


def test_a_changed_setting_makes_again_what_depends_on_it(
    biostyle: Invoke, config: Path, fundus_run: FundusRun, finished: Path
) -> None:
    result = run(
        biostyle, config, fundus_run.data, finished, "--dry-run", "--set", "matching.gentle.sharpening=2"
    )
    again = [line.split()[0] for line in result.stderr.splitlines() if "up to date" not in line]
    assert "translated/mixed/matching_gentle" in again
    assert "translated/mixed/agnostic" not in again
    assert again[-1] == "report"
    assert result.stdout == ""


def test_a_dry_run_makes_nothing(
    biostyle: Invoke, config: Path, fundus_run: FundusRun, tmp_path: Path
) -> None:
    result = run(biostyle, config, fundus_run.data, tmp_path / "out", "--dry-run")
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=1)[1] for line in result.stderr.splitlines() if line.strip()]
    assert lines == ["would be made"] * N_STAGES
    assert not (tmp_path / "out").exists()


def test_real_photographs_are_one_more_domain(
    biostyle: Invoke, config: Path, fundus_run: FundusRun, finished: Path, tmp_path: Path
) -> None:
    data, out = (
        Path(shutil.copytree(source, tmp_path / source.name)) for source in (fundus_run.data, finished)
    )
    (data / "camera").mkdir()
    for number in range(8):
        dark = simulate_retina(100 + number, shape=(80, 100)).photograph // 2
        Image.fromarray(dark).save(data / "camera" / f"{number}.png")
    real = "real=[{reader = 'folder', folder = 'camera'}]"
    result = run(biostyle, config, data, out, "--set", real)
    assert result.exit_code == 0, result.output
    made = [line.split()[0] for line in result.stderr.splitlines() if line.endswith(" making")]
    assert made[:2] == ["prepared/real", "stylizers/real"]
    assert all("real" in stage for stage in made[:-1])
    assert made[-1] == "report"
    domain = json.loads((out / "report" / "summary.json").read_text())["domains"]["real"]
    assert list(domain["candidates"])[-2:] == ["agnostic", "specific"]
    assert domain["agreement"] is None
    assert (domain["n"], domain["title"]) == (4, "Real photographs")
    best = domain["candidates"]["specific"]
    assert best["likeness"] is None
    assert "f_clean" not in best["vessels"]
    assert best["vessels"]["f_after"]["value"] is None
    assert best["grading"]["kappa_after"]["value"] is None
    assert best["quality"]["net_shift_to_good"]["noise_floor"] > 0
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert "Real photographs" in page
    assert find_stylizer(out, "real") == (out / "stylizers" / "real",)
    kept = load_config(out / "config.toml", [], FundusConfig)
    assert kept.restrict_to(["mixed"]).domains_b == ("mixed",)
    assert kept.restrict_to(["mixed", "real"]).domains_b == ("mixed", "real")


def test_a_photograph_without_fundus_stops_the_run(
    biostyle: Invoke, config: Path, fundus_run: FundusRun, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(fundus_run.data, tmp_path / "data"))
    noise = np.random.default_rng(0).integers(0, 6, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(data / "idrid" / "images" / "IDRiD_004.png")
    result = run(biostyle, config, data, tmp_path / "out")
    assert result.exit_code == 3
    assert "IDRiD_004.png" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out" / "prepared" / "clean").exists()


@pytest.mark.parametrize("kinds", ["['blur']", "['mixed', 'blur', 'blur']"])
def test_the_mixed_domain_comes_first(config: Path, kinds: str) -> None:
    with pytest.raises(ConfigError, match=r"kinds must begin with mixed .*got \[.*'blur'\]"):
        load_config(config, [f"kinds={kinds}"], FundusConfig)


def test_there_must_be_photographs_to_choose_by(config: Path) -> None:
    with pytest.raises(ConfigError, match=r"validation_fraction must be above 0, got 0"):
        load_config(config, ["split.validation_fraction=0"], FundusConfig)


def test_the_run_enhances_anybodys_photographs(
    biostyle: Invoke, finished: Path, fundus_run: FundusRun, tmp_path: Path
) -> None:
    images = fundus_run.data / "idrid" / "images"
    command = ("enhance", images, "--run", finished, "--device", "cpu", "-o")
    result = biostyle(*command, tmp_path / "out", "--candidate", "restored", "--good-too")
    assert result.exit_code == 0, result.output
    n = len(list(images.iterdir()))
    assert f"Photographs: {n}; " in result.stdout
    assert len(list((tmp_path / "out").glob("*.tif"))) == n
    unknown = biostyle(*command, tmp_path / "other", "--candidate", "spots")
    assert unknown.exit_code != 0
    assert (
        "candidate must be one of matching_gentle, restored, restored_gentle, blur, agnostic, got 'spots'"
        in unknown.stderr
    )
    nowhere = biostyle("enhance", images, "--run", tmp_path, "-o", tmp_path / "other")
    assert "run must be the directory of a fundus run" in nowhere.stderr


@pytest.mark.parametrize("chosen", ["before", "agnostic"])
def test_the_chosen_one_enhances(finished: Path, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = {"chosen": chosen, "verdict": "don't adapt"}
    monkeypatch.setattr("biostyle.pipelines.fundus.read_choice", lambda directory: choice)
    if chosen == "agnostic":
        assert find_stylizer(finished) == (finished / "stylizers" / "mixed",)
    else:
        with pytest.raises(ConfigError, match="candidate must be named where the run's verdict is"):
            find_stylizer(finished)
