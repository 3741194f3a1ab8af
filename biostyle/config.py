"""One complete TOML file a run, with nothing inherited and nothing interpolated.

Settings classes live beside the code that uses them; here they are put together.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar, overload

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepare_photographs import PhotographDomainSettings
from biostyle.data.preprocessing import Preprocessing
from biostyle.data.splits import SplitSettings
from biostyle.errors import ConfigError
from biostyle.matching.grid import GridSettings
from biostyle.metrics.structure import FlagSettings
from biostyle.training.batch_statistics import BatchStatisticsSettings
from biostyle.training.cyclegan import InTheLoopSettings, StylizerSettings
from biostyle.training.retraining import RetrainSettings
from biostyle.training.segmenter import SegmenterSettings
from biostyle.validation import check_domain, explain

CandidateName: TypeAlias = Literal[
    "matching", "adabn", "cyclegan", "augmented", "cyclegan_sa", "retrain", "retrain_rare"
]
Config = TypeVar("Config", bound=BaseModel)
LARGEST_SEED = 2**63 - 1  # what TOML, JSON readers and every random generator can hold


class ScoreSettings(BaseModel):
    """How predictions are scored.

    Attributes
    ----------
    reference : {"auto", "gold", "silver"}
        Masks to score against; ``auto`` is silver where a domain has it, else gold.
    block_length : int
        Consecutive frames drawn together by the bootstrap.
    n_resamples : int
        Number of bootstrap resamples.
    """

    model_config = ConfigDict(extra="forbid")

    reference: Literal["auto", "gold", "silver"] = "auto"
    block_length: int = Field(5, ge=1)
    n_resamples: int = Field(2000, ge=100)


class ReportSettings(BaseModel):
    """What the report shows.

    Attributes
    ----------
    title : str
        Heading.
    n_panels : int
        Frames a domain to show.
    flags : FlagSettings
        When a frame's masks are conspicuous.
    """

    model_config = ConfigDict(extra="forbid")

    title: str = "Before and after"
    n_panels: int = Field(3, ge=0)
    flags: FlagSettings = FlagSettings()


class RaceSettings(BaseModel):
    """How candidates for one domain B are made and chosen from, whatever the pipeline.

    Attributes
    ----------
    seed : int
        Source of every random choice, 0 to 2⁶³ - 1.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    candidates : tuple of str
        Which candidates run beside the frames as they are.
    preprocessing : Preprocessing
        From raw frame to network input.
    segmenter : SegmenterSettings
        S_A.
    matching : GridSettings
        Deterministic chains to try, the same for every domain.
    adabn : BatchStatisticsSettings
        S_A behind the best chain, with batch normalisation that knows B.
    cyclegan : StylizerSettings
        The CycleGAN of the seed work, on frames as they are.
    cyclegan_sa : InTheLoopSettings
        The CycleGAN behind the best chain, with S_A in the loop.
    retrain : RetrainSettings
        S_B trained behind the best chain; the mean of that and of a training that gives the rarer class the benefit of the
        doubt (``retrain_rare``); also S_B trained on A in the look of B (``augmented``).
    """

    model_config = ConfigDict(extra="forbid")

    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    device: str = "auto"
    candidates: tuple[CandidateName, ...] = ("matching", "cyclegan", "cyclegan_sa", "retrain")
    preprocessing: Preprocessing = Preprocessing()
    segmenter: SegmenterSettings = SegmenterSettings()
    matching: GridSettings = GridSettings()
    adabn: BatchStatisticsSettings = BatchStatisticsSettings()
    cyclegan: StylizerSettings = StylizerSettings()
    cyclegan_sa: InTheLoopSettings = InTheLoopSettings()
    retrain: RetrainSettings = RetrainSettings()

    @field_validator("candidates")
    @classmethod
    def _begins_with_matching(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse candidates twice, and learned ones without what they stand behind."""
        if len(set(names)) < len(names) or "matching" not in names:
            raise ValueError(
                f"candidates must name matching and each other one once, got {list(names)}. Correct the list."
            )
        for name, other, why in (
            ("augmented", "cyclegan", "renders for"),
            ("retrain_rare", "retrain", "is half of"),
        ):
            if name in names and other not in names:
                raise ValueError(
                    f"candidates must name {other}, which {why} {name}, got {list(names)}. Add it."
                )
        return names


class DomainsConfig(RaceSettings):
    """What pipelines over several configured domains have in common.

    Attributes
    ----------
    pipeline : str
        Which of them.
    domain_a : str
        Key, in ``domains``, of the annotated domain A.
    domains : dict
        The domains by name; all but ``domain_a`` are B.
    score : ScoreSettings
        Scoring.
    report : ReportSettings
        Report.
    """

    model_config = ConfigDict(extra="forbid")

    pipeline: str
    domain_a: str
    domains: dict[str, Any]
    score: ScoreSettings = ScoreSettings()
    report: ReportSettings = ReportSettings()

    @model_validator(mode="after")
    def _has_both_kinds_of_domain(self) -> Self:
        """Refuse a configuration without A, or without any B."""
        if self.domain_a not in self.domains:
            raise ValueError(
                f"domain_a must be one of {sorted(self.domains)}, got {self.domain_a!r}. Name one."
            )
        if len(self.domains) < 2:
            raise ValueError(f"domains must hold a domain B beside {self.domain_a}, got none. Add one.")
        return self

    def domains_b(self) -> list[str]:
        """Return the names of the domains B, in the order of the file.

        Returns
        -------
        list of str
            All keys of ``domains`` but ``domain_a``.
        """
        return [name for name in self.domains if name != self.domain_a]

    def known_domain(self, name: str) -> str:
        """Check that a domain is configured.

        Parameters
        ----------
        name : str
            Key of ``domains``.

        Returns
        -------
        str
            The same name.

        Raises
        ------
        ConfigError
            If it is unknown.
        """
        return check_domain(name, self.domains)

    def restrict_to(self, names: Sequence[str]) -> Self:
        """Keep only some of the domains B.

        Parameters
        ----------
        names : sequence of str
            Domains B to keep; naming A as well changes nothing.

        Returns
        -------
        DomainsConfig
            A copy with A and those domains.

        Raises
        ------
        ConfigError
            If a name is unknown or no domain B is named.
        """
        for name in names:
            self.known_domain(name)
        kept = {name: self.domains[name] for name in self.domains if name in {self.domain_a, *names}}
        if len(kept) < 2:
            raise ConfigError(
                f"domains must name at least one domain B, got {names}. Choose from {self.domains_b()}."
            )
        return self.model_copy(update={"domains": kept})


class CellTrackingConfig(DomainsConfig):
    """Everything the cell-tracking pipeline can be told.

    Attributes
    ----------
    pipeline : str
        ``"cell-tracking"``.
    with_ceiling : bool
        Whether S_B is also trained on the true masks of B's training frames, for comparison.
    domains : dict of str to DomainSettings
        The domains by name; all but ``domain_a`` are B.
    split : SplitSettings
        How frames are divided.
    """

    model_config = ConfigDict(extra="forbid")

    pipeline: Literal["cell-tracking"] = "cell-tracking"
    with_ceiling: bool = False
    domains: dict[str, DomainSettings]
    split: SplitSettings = SplitSettings()


class DermoscopyConfig(DomainsConfig):
    """Everything the dermoscopy pipeline can be told.

    Attributes
    ----------
    pipeline : str
        ``"dermoscopy"``.
    domains : dict of str to PhotographDomainSettings
        The domains by name; all but ``domain_a`` are B.
    split : GroupSplitSettings
        How lesions are divided.
    transfer_images : tuple of int
        Numbers of annotated photographs of B on which S_A is trained further, for comparison, beside all there are.
    """

    model_config = ConfigDict(extra="forbid")

    pipeline: Literal["dermoscopy"] = "dermoscopy"
    domains: dict[str, PhotographDomainSettings]
    split: GroupSplitSettings = GroupSplitSettings()
    transfer_images: tuple[Annotated[int, Field(ge=1)], ...] = (10, 50)


class AdaptConfig(RaceSettings):
    """Everything ``biostyle adapt`` can be told beside the folders.

    Attributes
    ----------
    pipeline : str
        ``"adapt"``.
    score : ScoreSettings
        Scoring, where B has masks.
    report : ReportSettings
        Report.
    """

    model_config = ConfigDict(extra="forbid")

    pipeline: Literal["adapt"] = "adapt"
    score: ScoreSettings = ScoreSettings()
    report: ReportSettings = ReportSettings()


@overload
def load_config(source: str | Path, overrides: list[str] | None = None) -> CellTrackingConfig: ...


@overload
def load_config(source: str | Path, overrides: list[str] | None, kind: type[Config]) -> Config: ...


def load_config(
    source: str | Path,
    overrides: list[str] | None = None,
    kind: type[CellTrackingConfig] | type[Config] = CellTrackingConfig,
) -> CellTrackingConfig | Config:
    """Read a configuration and apply ``key=value`` overrides.

    Parameters
    ----------
    source : str or Path
        A TOML file, or the name of a built-in configuration such as ``"cell_tracking/cpu"``.
    overrides : list of str
        Dotted keys and TOML values, such as ``"cyclegan.n_steps=500"``; a value that is not TOML is a string.
    kind : type
        The pipeline's configuration.

    Returns
    -------
    CellTrackingConfig or what ``kind`` says
        The checked configuration.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key or value is not what it should be.
    """
    path = _find(source)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"config must be a readable file, got {error.strerror} ({source}). Check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config must be TOML, got {error} ({source}). Correct that line.") from error
    for override in overrides or []:
        _apply(table, override)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise ConfigError(explain(error, kind, str(source))) from error


def dump_config(config: BaseModel) -> str:
    """Write a configuration as TOML that :func:`load_config` reads back.

    Parameters
    ----------
    config : BaseModel
        The configuration of any pipeline.

    Returns
    -------
    str
        TOML with every key spelled out.
    """
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def _find(source: str | Path) -> Path | Traversable:
    """A TOML file, else a built-in configuration of that name, else a file without that ending."""
    path = Path(source)
    if path.suffix == ".toml":
        return path
    built_in = resources.files("biostyle.configs").joinpath(f"{source}.toml")
    if built_in.is_file():
        return built_in
    if path.is_file():
        return path
    raise ConfigError(
        f"config must be a TOML file or a built-in name like cell_tracking/cpu, got {str(source)!r}. "
        "Check the path."
    )


def _apply(table: dict[str, Any], override: str) -> None:
    """Set one dotted key."""
    key, equals, value = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(
            f"--set must be KEY=VALUE, got {override!r}. Write for example cyclegan.n_steps=500."
        )
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set must name a key in a table, got {override!r}. {part!r} is a value.")
    table[parts[-1]] = parsed
