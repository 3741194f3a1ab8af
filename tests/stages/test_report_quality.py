import json
from pathlib import Path

from biostyle.artifacts import BuildOptions, read_record
from biostyle.data.enhancement import EnhancementSettings
from biostyle.data.prepared import load_prepared
from biostyle.stages.choose_stylizer import choose_stylizer
from biostyle.stages.judge_photographs import judge_photographs
from biostyle.stages.report_quality import QualityDirectories, report_quality
from biostyle.stages.stylize_photographs import stylize_photographs
from tests.fundus import FundusRun


def test_the_test_part_alone_is_reported(fundus_run: FundusRun, tmp_path: Path) -> None:
    options = BuildOptions()

    def judge(prepared: Path, translated: Path | None, name: str) -> Path:
        return judge_photographs(
            prepared, fundus_run.clean, tmp_path / name, translated=translated, quality=fundus_run.quality,
            grader=fundus_run.grader, segmenter=fundus_run.segmenter, device="cpu", options=options,
        )  # fmt: skip

    translated = {
        name: stylize_photographs(
            prepared, (EnhancementSettings(),), tmp_path / name, device="cpu", options=options
        )
        for name, prepared in (("b", fundus_run.mixed), ("a", fundus_run.clean))
    }
    before, clean = judge(fundus_run.mixed, None, "before"), judge(fundus_run.clean, None, "clean")
    after = {"matching": judge(fundus_run.mixed, translated["b"], "after")}
    clean_after = {"matching": judge(fundus_run.clean, translated["a"], "clean_after")}
    choice = choose_stylizer(before, after, clean, clean_after, tmp_path / "choice", options=options)
    directories = QualityDirectories(
        fundus_run.mixed, before, {"matching": translated["b"]}, after, clean_after, choice
    )
    out = report_quality(
        {"mixed": directories}, tmp_path / "report", clean=clean, quality=fundus_run.quality,
        grader=fundus_run.grader, title="T", n_panels=2, config={"seed": 0}, command="c", options=options,
    )  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    domain = summary["domains"]["mixed"]
    assert domain["n"] == len(load_prepared(fundus_run.mixed).frames("test"))
    assert domain["candidates"]["matching"]["clean"]["n"] == len(
        load_prepared(fundus_run.clean).frames("test")
    )
    assert (out / "index.html").read_text(encoding="utf-8").count('<figure class="panel">') == 2
    assert "mixed.judged.matching" in read_record(out)["request"]["inputs"]
