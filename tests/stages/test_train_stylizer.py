import shutil
from pathlib import Path

from biostyle.artifacts import BuildOptions, fingerprint
from biostyle.checkpoints import load_model
from biostyle.data.prepare import DomainSettings
from biostyle.data.preprocessing import Preprocessing
from biostyle.stages.prepare import prepare
from biostyle.stages.train_stylizer import train_stylizer
from biostyle.training.cyclegan import StylizerSettings
from tests.simulated import TINY_SPLIT, read_tree

SETTINGS = StylizerSettings(
    n_steps=1,
    n_filters=2,
    n_blocks=0,
    discriminator_n_filters=2,
    discriminator_n_layers=1,
    crop_size_px=16,
    sample_every=0,
)


def test_both_generators_say_what_they_were_trained_on(tiny_run: Path, tmp_path: Path) -> None:
    prepared_a, prepared_b = (tiny_run / "prepared" / name for name in ("nikon", "zeiss"))
    out = train_stylizer(
        prepared_a,
        prepared_b,
        tmp_path / "stylizer",
        SETTINGS,
        Preprocessing(),
        seed=0,
        device="cpu",
        options=BuildOptions(),
    )
    frames = {
        name: [f"{folder}/01_t{number:03d}" for number in range(4)]
        for name, folder in (("prepared_a", "SIM-A"), ("prepared_b", "SIM-B"))
    }
    weights = []
    for name in ("gen_ba", "gen_ab"):
        model, card = load_model(out / name)
        weights.append(next(model.parameters()))
        assert card["training_data"] == {
            "prepared_a": {"fingerprint": fingerprint(prepared_a), "frames": frames["prepared_a"]},
            "prepared_b": {"fingerprint": fingerprint(prepared_b), "frames": frames["prepared_b"]},
            "frames": [*frames["prepared_a"], *frames["prepared_b"]],
        }
    assert not (weights[0] == weights[1]).all()
    assert {path.split("/")[0] for path in read_tree(out)} == {
        "artifact.json",
        "gen_ab",
        "gen_ba",
        "history.csv",
    }


def test_masks_are_not_looked_at(tiny_data: Path, tiny_run: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "SIM-B" / "01_ST")
    bare = prepare(
        data,
        tmp_path / "bare",
        DomainSettings(folder="SIM-B", title="B"),
        TINY_SPLIT,
        annotated=False,
        options=BuildOptions(),
    )
    prepared_a = tiny_run / "prepared" / "nikon"
    made = [
        train_stylizer(
            prepared_a, prepared_b, tmp_path / name, SETTINGS, Preprocessing(), seed=0, device="cpu",
            options=BuildOptions(),
        )
        for name, prepared_b in (("with", tiny_run / "prepared" / "zeiss"), ("without", bare))
    ]  # fmt: skip
    first, second = ((out / "gen_ba" / "model.safetensors").read_bytes() for out in made)
    assert first == second
