"""Cell tracking: segment new microscopes with a segmenter that only knows phase contrast.

A straight line of stages: prepare every domain and train S_A; for each domain B race the candidates, choose among them
without labels, predict with each and score; then report.
"""

from __future__ import annotations

from pathlib import Path

from biostyle.artifacts import BuildOptions, claim_run_directory
from biostyle.config import CellTrackingConfig, dump_config
from biostyle.data.prepared import load_prepared
from biostyle.devices import resolve_device
from biostyle.pipelines.earlier_report import set_earlier_report_aside
from biostyle.pipelines.race import race, score_race
from biostyle.stages.export_adapted import export_adapted
from biostyle.stages.prepare import prepare
from biostyle.stages.report import DomainDirectories, report
from biostyle.stages.retrain import retrain
from biostyle.stages.train_segmenter import train_segmenter

# Pixel F-scores of Table 3 of the seed work (whole sequences, its own reference and its own S_A). What it calls "after" is
# always a CycleGAN, so it stands beside this run's CycleGAN and not beside what this run has chosen.
PUBLISHED_TABLE_3: dict[str, dict[str, float]] = {
    "nikon": {"before": 0.974},
    "zeiss": {"before": 0.650, "cyclegan": 0.247},
    "olympus": {"before": 0.000, "cyclegan": 0.157},
    "leica": {"before": 0.127, "cyclegan": 0.041},
    "artificial": {"before": 0.392, "cyclegan": 0.342},
}


def run(
    config: CellTrackingConfig, data_root: Path, out: Path, *, command: str, options: BuildOptions
) -> Path:
    """Run the whole pipeline; what is there already and still right is not made again.

    Parameters
    ----------
    config : CellTrackingConfig
        Everything that can be set.
    data_root : Path
        Folder that holds the challenge's folders as delivered.
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
    device = config.device
    prepared = {
        name: prepare(
            data_root,
            out / "prepared" / name,
            domain,
            config.split,
            annotated=name == config.domain_a,
            options=options,
        )
        for name, domain in config.domains.items()
    }
    prepared_a = prepared[config.domain_a]
    segmenter = train_segmenter(
        prepared_a,
        out / "segmenter",
        config.segmenter,
        config.preprocessing,
        seed=config.seed,
        device=device,
        options=options,
    )
    directories = {
        name: _judge(config, name, prepared_a, prepared_b, segmenter, out, options)
        for name, prepared_b in prepared.items()
    }
    set_earlier_report_aside(out / "report", directories, options)
    return report(
        directories,
        out / "report",
        title=config.report.title,
        pipeline=config.pipeline,
        config=config.model_dump(mode="json"),
        command=command,
        published={name: row for name, row in PUBLISHED_TABLE_3.items() if name in directories} or None,
        options=options,
    )


def _judge(
    config: CellTrackingConfig,
    name: str,
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    out: Path,
    options: BuildOptions,
) -> DomainDirectories:
    """Race the candidates for one domain, predict with all of them, and score."""
    candidates: dict[str, Path] = {}
    choice = None
    if name != config.domain_a:
        raced = race(config, prepared_a, prepared_b, segmenter, out / "candidates" / name, options)
        candidates, choice = dict(raced.candidates), raced.choice
        export_adapted(segmenter, candidates, choice, out / "models" / name, left_out={}, options=options)
        if config.with_ceiling and _has_training_masks(prepared_b, options):
            candidates["ceiling"] = retrain(
                prepared_a,
                prepared_b,
                segmenter,
                candidates["matching"],
                out / "ceiling" / name,
                config.retrain,
                supervised=True,
                seed=config.seed,
                device=config.device,
                options=options,
            )
    return score_race(config, name, prepared_b, segmenter, candidates, choice, out, options)


def _has_training_masks(prepared_b: Path, options: BuildOptions) -> bool:
    """Whether a ceiling can be trained; a domain that waits to be prepared is taken to have masks."""
    return prepared_b in options.pending or bool(load_prepared(prepared_b).with_truth("train"))
