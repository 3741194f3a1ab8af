"""Fundus photographs: raise the quality of poor ones, and prove what that does to them.

A straight line of stages: prepare good photographs, degrade them, and prepare real poor ones where there are any; train the
judges, which are a classifier of quality, a grader of diabetic retinopathy and a segmenter of vessels; train a stylizer
that knows no defect in particular and one for each domain B; translate, judge, choose without labels; then report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from biostyle.artifacts import BuildOptions, claim_run_directory, read_record
from biostyle.config import LARGEST_SEED, dump_config, load_config
from biostyle.data.degradation import DEFECTS, Defect
from biostyle.data.enhancement import EnhancementSettings
from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.prepare_degraded import MOST_DRAWS
from biostyle.data.prepare_fundus import FundusFolder, FundusSettings
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.errors import ConfigError
from biostyle.pipelines.earlier_report import set_earlier_report_aside
from biostyle.selection import IDENTITY
from biostyle.stages.choose_stylizer import choose_stylizer, read_choice
from biostyle.stages.judge_photographs import judge_photographs
from biostyle.stages.prepare_fundus import degrade_fundus, prepare_fundus, prepare_real
from biostyle.stages.report_quality import QualityDirectories, report_quality
from biostyle.stages.stylize_photographs import Steps, stylize_photographs
from biostyle.stages.train_classifier import train_grader, train_quality_classifier
from biostyle.stages.train_restorer import train_restorer
from biostyle.stages.train_segmenter import train_segmenter
from biostyle.stages.train_stylizer import train_stylizer
from biostyle.training.classifier import ClassifierSettings
from biostyle.training.cyclegan import StylizerSettings
from biostyle.training.restoration import RestorationSettings
from biostyle.training.segmenter import SegmenterSettings
from biostyle.validation import check_domain

MIXED, REAL = "mixed", "real"
Kind: TypeAlias = Literal["mixed", "illumination", "blur", "spots"]
MatchingName: TypeAlias = Annotated[str, Field(pattern="^[a-z0-9_]+$")]
KINDS: dict[str, tuple[Defect, ...]] = {MIXED: DEFECTS, **{defect: (defect,) for defect in DEFECTS}}


class FundusConfig(BaseModel):
    """Everything the fundus pipeline can be told.

    Attributes
    ----------
    pipeline : str
        ``"fundus"``.
    seed : int
        Source of every random choice, 0 to 2⁶³ - 1.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    title : str
        Heading of the report.
    n_panels : int
        Photographs of each domain B to show.
    with_ceiling : bool
        Whether to train a segmenter of vessels on the poor photographs as well, to show how many of them can be found there.
    kinds : tuple of str
        Domains B: ``mixed``, all defects, which comes first, and each defect alone.
    real : tuple of FundusFolder
        Collections of real photographs; those that no table calls good are one more domain B, ``real``.
    n_draws : int
        How often each good photograph is degraded to usable and to rejected, each time with other random numbers.
    fundus : FundusSettings
        Which collections, and which size.
    split : GroupSplitSettings
        How patients are divided; the validation part calibrates and chooses, and must not be empty.
    judge_input : Preprocessing
        From prepared square to the input of both classifiers.
    weights : Path or None
        Safetensors file with an EfficientNet-B0 that both classifiers begin with; random ones where there is none.
    quality : ClassifierSettings
        The classifier of quality.
    grader : ClassifierSettings
        The classifier of grades.
    segmenter : SegmenterSettings
        The segmenter of vessels.
    matching : dict of str to EnhancementSettings
        Candidates that learn nothing, by name; ``gentle`` becomes the candidate ``matching_gentle``. The one that changes
        least comes first, and is also the second step of ``restored_gentle``, behind the restorer.
    restorer : RestorationSettings
        The generator that learns to undo the degradation model.
    stylizer : StylizerSettings
        The CycleGAN, agnostic or specific.
    """

    model_config = ConfigDict(extra="forbid")

    pipeline: Literal["fundus"] = "fundus"
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    device: str = "auto"
    title: str = "Fundus photographs before and after"
    n_panels: int = Field(3, ge=0)
    with_ceiling: bool = False
    kinds: tuple[Kind, ...] = get_args(Kind)
    real: tuple[FundusFolder, ...] = ()
    n_draws: int = Field(4, ge=1, le=MOST_DRAWS)
    fundus: FundusSettings
    split: GroupSplitSettings = GroupSplitSettings()
    judge_input: Preprocessing = Preprocessing(scaling="dtype", working_side_px=128)
    weights: Path | None = None
    quality: ClassifierSettings = ClassifierSettings()
    grader: ClassifierSettings = ClassifierSettings()
    segmenter: SegmenterSettings = SegmenterSettings()
    matching: dict[MatchingName, EnhancementSettings] = {"gentle": EnhancementSettings()}
    restorer: RestorationSettings = RestorationSettings()
    stylizer: StylizerSettings = StylizerSettings()

    @field_validator("kinds")
    @classmethod
    def _begins_with_mixed(cls, kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
        """Refuse kinds twice, and to leave out what the agnostic stylizer learns from."""
        if len(set(kinds)) < len(kinds) or kinds[:1] != (MIXED,):
            raise ValueError(
                f"kinds must begin with mixed and name each other one once, got {list(kinds)}. Correct the list."
            )
        return kinds

    @field_validator("split")
    @classmethod
    def _validates(cls, split: GroupSplitSettings) -> GroupSplitSettings:
        """Refuse a split without photographs to calibrate and choose by."""
        if split.validation_fraction == 0:
            raise ValueError(
                "validation_fraction must be above 0, got 0: stylizers are chosen by that part. Raise it."
            )
        return split

    @property
    def domains_b(self) -> tuple[str, ...]:
        """Names of all domains B: the kinds, and ``real`` where there are real photographs."""
        return (*self.kinds, REAL) if self.real else self.kinds

    def restrict_to(self, names: Sequence[str]) -> Self:
        """Keep only some of the domains B.

        Parameters
        ----------
        names : sequence of str
            Domains to keep, ``mixed`` among them.

        Returns
        -------
        FundusConfig
            A copy with those, in the order of ``domains_b``.

        Raises
        ------
        ConfigError
            If a name is unknown or ``mixed`` is not among them.
        """
        for name in names:
            check_domain(name, self.domains_b)
        if MIXED not in names:
            raise ConfigError(
                f"domains must name {MIXED}, which the agnostic stylizer learns from and which comes first, "
                f"got {list(names)}. Add it."
            )
        kinds = tuple(kind for kind in self.kinds if kind in names)
        return self.model_copy(update={"kinds": kinds, "real": self.real if REAL in names else ()})


@dataclass(frozen=True)
class _Judges:
    """The models that every photograph is judged by, and the good photographs."""

    clean: Path
    quality: Path
    grader: Path
    segmenter: Path


def run(config: FundusConfig, data_root: Path, out: Path, *, command: str, options: BuildOptions) -> Path:
    """Run the whole pipeline; what is there already and still right is not made again.

    Parameters
    ----------
    config : FundusConfig
        Everything that can be set.
    data_root : Path
        Folder that holds the collections as delivered.
    out : Path
        The run's directory.
    command : str
        Command line to print in the report.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        The report's directory, with ``index.html``, ``report.md``, ``scores.csv`` and ``summary.json``.

    Raises
    ------
    DataError
        If the data, the configuration or ``out`` cannot be used.
    InterruptedRunError
        If training was stopped on request.
    """
    resolve_device(config.device)  # a missing device is named before anything is made
    claim_run_directory(out, config.pipeline, dump_config(config), options)
    made = out / "prepared"
    clean = prepare_fundus(data_root, made / "clean", config.fundus, config.split, options=options)
    real = {}
    if config.real:  # before anything is degraded: a wrong folder is named at once
        real[REAL] = prepare_real(
            data_root, clean, made / REAL, config.fundus, config.real, config.split, options=options
        )
    prepared: dict[str, Path] = {
        kind: degrade_fundus(
            clean, made / kind, KINDS[kind], seed=config.seed, n_draws=config.n_draws, options=options
        )
        for kind in config.kinds
    } | real
    judges = _train_judges(config, clean, out, options)
    train_restorer(
        clean, judges.segmenter, out / "restorer", config.restorer,
        seed=config.seed, device=config.device, options=options,
    )  # fmt: skip
    for kind, poor in prepared.items():
        train_stylizer(
            clean, poor, out / "stylizers" / kind, config.stylizer, Preprocessing(scaling="dtype"),
            seed=config.seed, device=config.device, options=options,
        )  # fmt: skip
    makers = _makers(config, out)
    clean_judged = _judge(config, judges, clean, None, out / "judged" / "clean" / "before", options)
    clean_after = {
        name: _translate_and_judge(config, judges, clean, steps, out, f"clean/{name}", options)[1]
        for name, steps in makers.items()
    }
    domains = {
        kind: _race(config, judges, kind, path, makers, clean_judged, clean_after, out, options)
        for kind, path in prepared.items()
    }
    set_earlier_report_aside(out / "report", domains, options)
    return report_quality(
        domains, out / "report", clean=clean_judged, quality=judges.quality, grader=judges.grader,
        title=config.title, n_panels=config.n_panels, config=config.model_dump(mode="json"),
        command=command, options=options,
    )  # fmt: skip


def find_stylizer(run: Path, candidate: str | None = None) -> Steps:
    """Find what to translate anybody's photographs with in a finished run.

    Parameters
    ----------
    run : Path
        A run's directory.
    candidate : str or None
        ``matching_NAME``, ``restored``, ``restored_NAME``, ``agnostic``, or the defect, or ``real``, whose specific stylizer
        is wanted; by default the one that was chosen for all defects mixed.

    Returns
    -------
    tuple of Path or EnhancementSettings
        Its steps: candidate directories, and how to enhance without one.

    Raises
    ------
    ConfigError
        If there is no such candidate, or none was chosen.
    DataError
        If the run is not finished.
    """
    if not (run / "config.toml").is_file():
        raise ConfigError(
            f"run must be the directory of a fundus run, got one without config.toml ({run}). "
            "Make one with `biostyle run fundus --out DIR`."
        )
    config = load_config(run / "config.toml", [], FundusConfig)
    makers = _makers(config, run)
    makers["agnostic"] = makers.pop(MIXED)
    if candidate is None:
        chosen = run / "choices" / MIXED
        read_record(chosen)
        choice = read_choice(chosen)
        candidate = str(choice["chosen"])
        if candidate == IDENTITY:
            raise ConfigError(
                f"candidate must be named where the run's verdict is {choice['verdict']!r}, got none ({run}). "
                f"Leave the photographs as they are, or choose among {', '.join(makers)}."
            )
    if candidate not in makers:
        raise ConfigError(
            f"candidate must be one of {', '.join(makers)}, got {candidate!r} ({run}). Name one of these."
        )
    for step in makers[candidate]:
        if isinstance(step, Path):
            read_record(step)
    return makers[candidate]


def _makers(config: FundusConfig, run: Path) -> dict[str, Steps]:
    """The steps of each candidate, from the one that changes least on; CycleGANs have the name of the domain they know."""
    restorer = run / "restorer"
    makers: dict[str, Steps] = {f"matching_{name}": (how,) for name, how in config.matching.items()}
    makers["restored"] = (restorer,)
    makers |= {f"restored_{name}": (restorer, how) for name, how in list(config.matching.items())[:1]}
    return makers | {name: (run / "stylizers" / name,) for name in config.domains_b}


def _train_judges(config: FundusConfig, clean: Path, out: Path, options: BuildOptions) -> _Judges:
    """Train the networks that judge, all on good photographs and what they are degraded to."""
    return _Judges(
        clean,
        train_quality_classifier(
            clean, out / "quality", config.quality, config.judge_input,
            seed=config.seed, device=config.device, weights=config.weights, options=options,
        ),
        train_grader(
            clean, out / "grader", config.grader, config.judge_input,
            seed=config.seed, device=config.device, weights=config.weights, options=options,
        ),
        train_segmenter(
            clean, out / "segmenter", config.segmenter, Preprocessing(scaling="dtype"),
            seed=config.seed, device=config.device, options=options,
        ),
    )  # fmt: skip


def _race(
    config: FundusConfig,
    judges: _Judges,
    kind: str,
    prepared: Path,
    makers: dict[str, Steps],
    clean: Path,
    clean_after: dict[str, Path],
    out: Path,
    options: BuildOptions,
) -> QualityDirectories:
    """Translate and judge one domain with every candidate, and choose."""
    source = {name: name for name in makers if name not in config.domains_b} | {"agnostic": MIXED}
    if kind != MIXED:
        source["specific"] = kind
    before = _judge(config, judges, prepared, None, out / "judged" / kind / "before", options)
    made = {
        name: _translate_and_judge(config, judges, prepared, makers[maker], out, f"{kind}/{name}", options)
        for name, maker in source.items()
    }
    clean_judged = {name: clean_after[maker] for name, maker in source.items()}
    translated, judged = ({name: pair[index] for name, pair in made.items()} for index in (0, 1))
    choice = choose_stylizer(before, judged, clean, clean_judged, out / "choices" / kind, options=options)
    traced = config.with_ceiling and kind != REAL  # hardly anybody has traced vessels of real photographs
    ceiling = _ceiling(config, judges, kind, prepared, out, options) if traced else None
    return QualityDirectories(prepared, before, translated, judged, clean_judged, choice, ceiling)


def _ceiling(
    config: FundusConfig, judges: _Judges, kind: str, prepared: Path, out: Path, options: BuildOptions
) -> Path:
    """Judge a domain as it is with a segmenter of vessels that was trained on its training part."""
    segmenter = train_segmenter(
        prepared, out / "ceiling" / kind, config.segmenter, Preprocessing(scaling="dtype"),
        seed=config.seed, device=config.device, options=options,
    )  # fmt: skip
    at_home = replace(judges, segmenter=segmenter)
    return _judge(config, at_home, prepared, None, out / "judged" / kind / "ceiling", options)


def _translate_and_judge(
    config: FundusConfig,
    judges: _Judges,
    prepared: Path,
    steps: Steps,
    out: Path,
    name: str,
    options: BuildOptions,
) -> tuple[Path, Path]:
    """Translate a domain with one candidate and judge the result."""
    translated = stylize_photographs(
        prepared, steps, out / "translated" / name, device=config.device, options=options
    )
    return translated, _judge(config, judges, prepared, translated, out / "judged" / name, options)


def _judge(
    config: FundusConfig,
    judges: _Judges,
    prepared: Path,
    translated: Path | None,
    to: Path,
    options: BuildOptions,
) -> Path:
    """Judge a domain, translated or as it is."""
    return judge_photographs(
        prepared, judges.clean, to, translated=translated, quality=judges.quality, grader=judges.grader,
        segmenter=judges.segmenter, device=config.device, options=options,
    )  # fmt: skip
