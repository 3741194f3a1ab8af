from pathlib import Path

import pandas as pd

from biostyle.adapted_model import GENERATOR
from biostyle.artifacts import BuildOptions, read_record
from biostyle.checkpoints import load_model, read_card
from biostyle.data.prepared import load_prepared
from biostyle.models.residual_unet import ResidualUNet
from biostyle.stages.stylize_photographs import stylize_photographs, unseen
from biostyle.stages.train_restorer import train_restorer
from tests.fundus import RESTORER, FundusRun


def make(run: FundusRun, out: Path) -> Path:
    return train_restorer(
        run.clean, run.segmenter, out, RESTORER, seed=0, device="cpu", options=BuildOptions()
    )


def test_it_learns_from_training_patients_alone(fundus_run: FundusRun, tmp_path: Path) -> None:
    out, domain = make(fundus_run, tmp_path / "out"), load_prepared(fundus_run.clean)
    card = read_card(out / GENERATOR)
    assert card["training_data"]["frames"] == domain.global_ids(domain.frames("train"))
    assert sorted(read_record(out)["request"]["inputs"]) == ["clean", "segmenter"]
    assert isinstance(load_model(out / GENERATOR)[0], ResidualUNet)
    assert len(pd.read_csv(out / "history.csv")) == RESTORER.n_steps


def test_it_is_a_stylizer_like_any_other(fundus_run: FundusRun, tmp_path: Path) -> None:
    candidate = make(fundus_run, tmp_path / "candidate")
    out = stylize_photographs(
        fundus_run.mixed, (candidate,), tmp_path / "out", device="cpu", options=BuildOptions()
    )
    assert len(list((out / "images").iterdir())) == len(unseen(load_prepared(fundus_run.mixed)))
