import itertools
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

from biostyle.config import (
    AdaptConfig,
    CellTrackingConfig,
    DermoscopyConfig,
    DomainsConfig,
    RaceSettings,
    dump_config,
    load_config,
)
from biostyle.errors import ConfigError
from biostyle.pipelines.fundus import FundusConfig

MINIMAL = """
domain_a = "nikon"
[domains.nikon]
folder = "SIM-A"
title = "NIKON"
[domains.zeiss]
folder = "SIM-B"
title = "ZEISS"
[domains.leica]
folder = "SIM-C"
title = "LEICA"
derive = { invert = true, blur_sigma_px = 2.0 }
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(MINIMAL)
    return path


def shipped(folder: Traversable, prefix: str = "") -> list[str]:
    """Names of the configurations inside the package."""
    names = []
    for entry in folder.iterdir():
        if entry.is_dir():
            names += shipped(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".toml"):
            names.append(prefix + entry.name.removesuffix(".toml"))
    return sorted(names)


def leaves(table: dict[str, object], prefix: str = "") -> set[str]:
    """Dotted names of all values of nested tables."""
    nested = (
        leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
        for key, value in table.items()
    )
    return set(itertools.chain.from_iterable(nested))


SHIPPED = shipped(resources.files("biostyle.configs"))


def kind_of(name: str) -> type[RaceSettings | FundusConfig]:
    kinds: dict[str, type[RaceSettings | FundusConfig]] = {
        "adapt": AdaptConfig,
        "dermoscopy": DermoscopyConfig,
        "fundus": FundusConfig,
    }
    return kinds.get(name.partition("/")[0], CellTrackingConfig)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_configuration_loads(name: str) -> None:
    config = load_config(name, None, kind_of(name))
    assert not isinstance(config, RaceSettings) or config.candidates[0] == "matching"
    assert not isinstance(config, DomainsConfig) or config.domains_b()


def test_the_configurations_are_shipped() -> None:
    names = {"cell_tracking/cpu", "demo", "adapt", "dermoscopy/cpu", "dermoscopy/full"}
    names |= {"fundus/cpu", "fundus/full"}
    assert names <= set(SHIPPED)


def test_what_another_candidate_is_made_from_must_run() -> None:
    with pytest.raises(ConfigError, match=r"cyclegan, which renders for augmented, got \['matching', 'augm"):
        load_config("demo", ["candidates=['matching', 'augmented']"])
    with pytest.raises(ConfigError, match=r"retrain, which is half of retrain_rare, got \['matching', 'retr"):
        load_config("demo", ["candidates=['matching', 'retrain_rare']"])


@pytest.mark.parametrize("name", SHIPPED)
def test_a_dumped_configuration_loads_as_the_same(name: str, tmp_path: Path) -> None:
    config = load_config(name, None, kind_of(name))
    (tmp_path / "resolved.toml").write_text(dump_config(config))
    assert load_config(tmp_path / "resolved.toml", None, kind_of(name)) == config


def test_a_configuration_of_another_pipeline_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"pipeline must be 'cell-tracking', got 'adapt'"):
        load_config("adapt")


@pytest.mark.parametrize("name", SHIPPED)
def test_no_domain_has_a_setting_of_its_own(name: str) -> None:
    """What is derived is made for a domain; nothing else may be set for one."""
    domains = load_config(name, None, kind_of(name)).model_dump().get("domains", {})
    assert all(set(domain) <= {"folder", "folders", "title", "derive"} for domain in domains.values())


@pytest.mark.parametrize("names", [[], ["cyclegan"], ["matching", "matching"], ["retrain", "cyclegan_sa"]])
def test_learned_candidates_need_the_chain_they_stand_behind(minimal: Path, names: list[str]) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"candidates must name matching .*each other one once, got {re.escape(str(names))}",
    ):
        load_config(minimal, [f"candidates={names}"])


def test_the_order_of_candidates_in_a_file_is_free(minimal: Path) -> None:
    """What is simple is known to the race, not to the file."""
    config = load_config(minimal, ["candidates=['retrain', 'matching']"])
    assert config.candidates == ("retrain", "matching")


def test_an_unknown_candidate_is_refused(minimal: Path) -> None:
    with pytest.raises(ConfigError, match=r"candidates\.1 must be 'matching', .*got 'magic' \(.*run\.toml\)"):
        load_config(minimal, ["candidates=['matching', 'magic']"])


def test_a_dump_spells_out_every_key(minimal: Path, tmp_path: Path) -> None:
    config = load_config(minimal)
    (tmp_path / "resolved.toml").write_text(dump_config(config))
    dumped = load_config(tmp_path / "resolved.toml")
    assert dumped == config
    assert leaves(dumped.model_dump(exclude_unset=True)) == leaves(config.model_dump(exclude_none=True))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sede=1", r"sede must be a known key, got 1 \(.*run\.toml\)\. Did you mean 'seed'\?"),
        ("cyclegan.n_step=5", r"cyclegan\.n_step must be .* got 5 \(.*\)\. Did you mean 'n_steps'\?"),
        ("segmenter.augmentation.nois=5", r"augmentation\.nois must be .* Did you mean 'noise'\?"),
        ("domains.zeiss.foldr='x'", r"domains\.zeiss\.foldr must be .* got 'x' .* Did you mean 'folder'\?"),
        (
            "domains.leica.derive.blur_sigma=1",
            r"derive\.blur_sigma must be .* Did you mean 'blur_sigma_px'\?",
        ),
        (f"seed={2**63}", rf"seed must be less than or equal to {2**63 - 1}, got {2**63} \(.*run\.toml\)"),
        (
            "retrain.sure_common=0.9",
            r"retrain\.sure_common must be below sure_rare = 0\.35, got 0\.9 \(.*run\.toml\)\. Lower it",
        ),
        (
            "retrain.n_rounds=1000",
            r"retrain\.n_rounds must be at most n_steps = 300, got 1000 \(.*run\.toml\)\. Lower it or",
        ),
        ("cyclegan_sa.n_start=2", r"cyclegan_sa\.n_start must be .* Did you mean 'n_starts'\?"),
        ("seed=-1", r"seed must be greater than or equal to 0, got -1 \(.*run\.toml\)"),
        ("cyclegan.n_steps=many", r"cyclegan\.n_steps must be a valid integer.* got 'many' \(.*run\.toml\)"),
        ("pipeline=dermoscopy", r"pipeline must be 'cell-tracking', got 'dermoscopy'"),
        (
            "domain_a=olympus",
            r"domain_a must be one of \['leica', 'nikon', 'zeiss'\], got 'olympus' \(.*\)\. Name",
        ),
        ("domains.olympus.title='O'", r"domains\.olympus\.folder must be given, got nothing \(.*run\.toml\)"),
        (
            "split.test_sequences=['01']",
            r"split\.test_sequences must not hold a training sequence, got \['01'\] in both \(.*run\.toml\)\. Remove",
        ),
    ],
)
def test_refuses_wrong_keys_and_values(minimal: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(minimal, [override])
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_refuses_a_configuration_without_a_domain_b(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(MINIMAL.split("[domains.zeiss]")[0])
    with pytest.raises(
        ConfigError, match=r"must hold a domain B beside nikon, got none \(.*run\.toml\)\. Add"
    ):
        load_config(path)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("seed=7", 7),
        (" seed = 7 ", 7),
        ("report.title=Plain words", "Plain words"),
        ("report.title='Quoted'", "Quoted"),
        ("report.title=a=b", "a=b"),
        ("preprocessing.working_scale=0.25", 0.25),
        ("cyclegan.decoder=resize", "resize"),
        ("split.train_sequences=['02', '03']", ("02", "03")),
        ("domains.zeiss.derive.invert=true", True),
    ],
)
def test_sets_dotted_keys_to_toml_values(minimal: Path, override: str, value: object) -> None:
    config: object = load_config(minimal, [override, "split.test_sequences=['04']"])
    for part in override.partition("=")[0].strip().split("."):
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    assert config == value


def test_the_last_override_wins(minimal: Path) -> None:
    assert load_config(minimal, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize("override", ["seed", "=3", "cyclegan.=3", ".seed=3"])
def test_refuses_an_override_that_is_not_key_value(minimal: Path, override: str) -> None:
    with pytest.raises(ConfigError, match=rf"--set must be KEY=VALUE, got '{override}'"):
        load_config(minimal, [override])


def test_refuses_an_override_below_a_value(minimal: Path) -> None:
    with pytest.raises(ConfigError, match=r"got 'domain_a\.name=x'\. 'domain_a' is a value"):
        load_config(minimal, ["domain_a.name=x"])


def test_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"got No such file or directory \(.*absent\.toml\)"):
        load_config(tmp_path / "absent.toml")


def test_a_file_that_happens_to_be_there_does_not_hide_a_built_in_configuration(
    tmp_path: Path, minimal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_text("not TOML")
    assert load_config("demo").domain_a == "microscope_a"
    minimal.rename(tmp_path / "mine")
    assert load_config("mine").domain_a == "nikon"


def test_refuses_a_name_that_is_not_built_in() -> None:
    with pytest.raises(
        ConfigError, match=r"a built-in name like cell_tracking/cpu, got 'cell_tracking/gpu_farm'"
    ):
        load_config("cell_tracking/gpu_farm")


@pytest.mark.parametrize("content", [b"seed = = 1", b"title = '\xff'"])
def test_refuses_what_is_not_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config must be TOML, got .* \(.*run\.toml\)"):
        load_config(tmp_path / "run.toml")


def test_keeps_only_the_domains_asked_for(minimal: Path) -> None:
    config = load_config(minimal)
    assert config.domains_b() == ["zeiss", "leica"]
    assert list(config.restrict_to(["leica"]).domains) == ["nikon", "leica"]
    assert list(config.restrict_to(["leica", "zeiss", "nikon"]).domains) == ["nikon", "zeiss", "leica"]
    assert config.domains_b() == ["zeiss", "leica"]


def test_refuses_to_keep_what_is_not_there(minimal: Path) -> None:
    config: CellTrackingConfig = load_config(minimal)
    with pytest.raises(ConfigError, match=r"must be one of \[.*\], got 'zeis'\. Did you mean 'zeiss'\?"):
        config.restrict_to(["zeis"])
    with pytest.raises(
        ConfigError, match=r"at least one domain B, got \['nikon'\]\. Choose from \['zeiss', 'leica'\]"
    ):
        config.restrict_to(["nikon"])


def test_a_known_domain_keeps_its_name(minimal: Path) -> None:
    config = load_config(minimal)
    assert config.known_domain("nikon") == "nikon"
    with pytest.raises(ConfigError, match=r"must be one of \[.*\], got 'qq'\. Name one of these\."):
        config.known_domain("qq")


def test_every_pipeline_of_several_domains_can_be_restricted() -> None:
    skin = load_config("dermoscopy/cpu", None, DermoscopyConfig)
    assert skin.restrict_to(["macroscopic"]) == skin
    with pytest.raises(ConfigError, match=r"at least one domain B, got \['dermoscopic'\]"):
        skin.restrict_to(["dermoscopic"])


def test_of_the_fundus_pipeline_mixed_is_always_kept_and_first() -> None:
    fundus = load_config("fundus/cpu", None, FundusConfig)
    assert fundus.restrict_to(["blur", "mixed"]).kinds == ("mixed", "blur")
    assert fundus.restrict_to(["mixed"]).kinds == ("mixed",)
    with pytest.raises(ConfigError, match=r"must name mixed, .* comes first, got \['blur'\]\. Add it"):
        fundus.restrict_to(["blur"])
    with pytest.raises(ConfigError, match=r"must be one of \[.*\], got 'spot'\. Did you mean 'spots'\?"):
        fundus.restrict_to(["mixed", "spot"])
