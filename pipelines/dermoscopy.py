"""Dermoscopy: lesions in ordinary photographs, with a segmenter that only knows dermoscopic images.

A straight line of stages: prepare both domains and train S_A; race the candidates and choose among them without labels;
where B's training photographs have masks, train further on them, for comparison; predict, score and report.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from biostyle.artifacts import BuildOptions, claim_run_directory
from biostyle.config import DermoscopyConfig, dump_config
from biostyle.data.prepared import load_prepared
from biostyle.devices import resolve_device
from biostyle.pipelines.earlier_report import set_earlier_report_aside
from biostyle.pipelines.race import race, score_race
from biostyle.stages.export_adapted import export_adapted
from biostyle.stages.prepare_photographs import prepare_photographs
from biostyle.stages.report import DomainDirectories, report
from biostyle.stages.retrain import retrain
from biostyle.stages.train_segmenter import train_segmenter

# Andrade et al. 2020 on Dermofit, in per cent: https://doi.org/10.3390/jimaging7010002
PUBLISHED_MEASURES: dict[str, dict[str, float]] = {
    "Transfer learning, threshold .50": {
        "tja": 72.97,
        "ja": 80.26,
        "di": 88.26,
        "ac": 93.51,
        "se": 87.56,
        "sp": 96.86,
    },
    "CycleGAN augmentation, threshold .56": {
        "tja": 75.46,
        "ja": 81.03,
        "di": 88.79,
        "ac": 93.78,
        "se": 89.68,
        "sp": 96.13,
    },
}
TRANSFER_ALL, AUGMENTED_TRANSFER = "transfer_all", "augmented_transfer"


def run(config: DermoscopyConfig, data_root: Path, out: Path, *, command: str, options: BuildOptions) -> Path:
    """Run the whole pipeline; what is there already and still right is not made again.

    Parameters
    ----------
    config : DermoscopyConfig
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

    def prepare(name: str, beside: Path | None) -> Path:
        return prepare_photographs(
            data_root,
            out / "prepared" / name,
            config.domains[name],
            config.split,
            annotated=beside is None,
            beside=beside,
            options=options,
        )

    prepared_a = prepare(config.domain_a, None)
    # all of them now: bad data are named before anything is trained
    prepared = {name: prepare(name, prepared_a) for name in config.domains_b()}
    segmenter = train_segmenter(
        prepared_a,
        out / "segmenter",
        config.segmenter,
        config.preprocessing,
        seed=config.seed,
        device=config.device,
        options=options,
    )
    directories = {
        config.domain_a: score_race(config, config.domain_a, prepared_a, segmenter, {}, None, out, options)
    }
    for name, prepared_b in prepared.items():
        directories[name] = _judge(config, name, prepared_a, prepared_b, segmenter, out, options)
    set_earlier_report_aside(out / "report", directories, options)
    return report(
        directories,
        out / "report",
        title=config.report.title,
        pipeline=config.pipeline,
        config=config.model_dump(mode="json"),
        command=command,
        published=None,
        published_measures=PUBLISHED_MEASURES,
        supervised=[*_transfer_sizes(config), AUGMENTED_TRANSFER],
        options=options,
    )


def _judge(
    config: DermoscopyConfig,
    name: str,
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    out: Path,
    options: BuildOptions,
) -> DomainDirectories:
    """Race the candidates, train further on B's labels where there are any, predict with all of them, and score."""
    raced = race(config, prepared_a, prepared_b, segmenter, out / "candidates" / name, options)
    rows = dict(raced.candidates)
    export_adapted(segmenter, rows, raced.choice, out / "models" / name, left_out={}, options=options)
    waits = prepared_b in options.pending
    n_annotated = None if waits else len(load_prepared(prepared_b).with_truth("train"))
    fine_tune = partial(
        retrain,
        prepared_a,
        prepared_b,
        segmenter,
        None,
        supervised=True,
        seed=config.seed,
        device=config.device,
        options=options,
    )
    everything = config.retrain.model_copy(update={"n_frames": n_annotated or 1})
    for row, n_images in _transfer_sizes(config).items():
        if n_annotated is None or n_annotated > (n_images or 0):
            settings = (
                everything if n_images is None else everything.model_copy(update={"n_frames": n_images})
            )
            rows[row] = fine_tune(out / "transfer" / name / row, settings)
    if n_annotated != 0 and "augmented" in raced.candidates:
        rows[AUGMENTED_TRANSFER] = fine_tune(
            out / "transfer" / name / AUGMENTED_TRANSFER,
            everything,
            start=raced.candidates["augmented"],
            renderer=raced.candidates["cyclegan"],
        )
    return score_race(config, name, prepared_b, segmenter, rows, raced.choice, out, options)


def _transfer_sizes(config: DermoscopyConfig) -> dict[str, int | None]:
    """Rows of transfer learning, with the number of annotated photographs of B; None for all."""
    return {**{f"transfer_{n}": n for n in config.transfer_images}, TRANSFER_ALL: None}
