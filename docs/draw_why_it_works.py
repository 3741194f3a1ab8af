"""Draw the pictures of why-it-works.md: charts of measured numbers, and panels of simulated frames.

    python docs/draw_why_it_works.py

No image of a data set is used. The numbers are those of ``reports/reference``: ``ablation.json``; ``cell_tracking.json``,
which is what ``biostyle compare RUN RUN RUN --json`` prints; and ``do_no_harm_SEED.json``, which ``benchmarks/do_no_harm.py``
writes. The same numbers give the same files.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from biostyle.data.sources.simulated import simulate_pair
from biostyle.io.frames import read_frame
from biostyle.io.labels import read_labels
from biostyle.reporting.tables import row_title
from biostyle.selection import CONCORD, CONCORD_OF_STRANGE, NO_SUPPORT, TRUSTED
from biostyle.types import NDArray

ROOT = Path(__file__).parents[1]
NUMBERS = ROOT / "reports" / "reference"
CANDIDATES = ("matching", "adabn", "cyclegan", "cyclegan_sa", "retrain", "retrain_rare")
COLOURS = {
    "otsu": "#999999",
    "before": "#000000",
    "matching": "#0072b2",
    "adabn": "#f0e442",
    "cyclegan": "#d55e00",
    "cyclegan_sa": "#e69f00",
    "retrain": "#009e73",
    "retrain_rare": "#8c6d1f",
    "after": "#cc79a7",
    "oracle": "#56b4e9",
    "ceiling": "#999999",
}
MARKERS = "osD^vP*X<"
WANTED_REGRET = 0.03
SIDE_PX = 160  # of the simulated frames
PATCH_PX = 70  # of a PatchGAN with three layers
STYLE = {
    "svg.hashsalt": "biostyle",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def main() -> None:
    """Draw everything there are numbers for."""
    ablation = json.loads((NUMBERS / "ablation.json").read_text(encoding="utf-8"))
    measured = NUMBERS / "cell_tracking.json"
    comparison = json.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else None
    for path in draw(ablation, read_races(), comparison, ROOT / "docs" / "images"):
        print(path)


def read_races() -> list[dict[str, Any]]:
    """Read what the race says of unrelated images and of real domains, for each S_A it was asked with."""
    return [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(NUMBERS.glob("do_no_harm_*.json"))
    ]


def draw(
    ablation: Mapping[str, Any],
    races: Sequence[Mapping[str, Any]],
    comparison: Mapping[str, Any] | None,
    out: Path,
) -> list[Path]:
    """Write the pictures.

    Parameters
    ----------
    ablation : mapping
        Content of ``ablation.json``.
    races : sequence of mapping
        Contents of the ``do_no_harm_SEED.json``.
    comparison : mapping or None
        What :func:`biostyle.reporting.comparison.compare_runs` returns; None to leave out the pictures of whole runs.
    out : Path
        Folder to write to.

    Returns
    -------
    list of Path
        The SVG files.
    """
    with mpl.rc_context(STYLE):
        figures = {
            "causes": draw_causes(),
            "ablation": draw_ablation(ablation),
            "unrelated": draw_unrelated(races),
        }
        if comparison is not None:
            domains = {name: found for name, found in comparison["domains"].items() if any(found["chosen"])}
            figures |= {
                "f_scores": draw_f_scores(domains),
                "regret": draw_regret(domains),
                "label_free": draw_label_free(domains),
            }
        out.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            figure.savefig(out / f"{name}.svg", metadata={"Date": None, "Creator": None})
    return [out / f"{name}.svg" for name in figures]


def draw_f_scores(domains: Mapping[str, Any]) -> Figure:
    """Draw F of every row, one panel a domain, with the smallest and largest of the runs.

    Parameters
    ----------
    domains : mapping
        Domains B of a comparison.

    Returns
    -------
    Figure
        One column of dots a domain.
    """
    figure = Figure(figsize=(2.5 * len(domains), 3.2), layout="constrained")
    panels = figure.subplots(1, len(domains), sharey=True, squeeze=False)[0]
    names = [
        name
        for name in COLOURS
        if any(name in found["rows"] for found in domains.values()) or name == "oracle"
    ]
    for panel, (domain, found) in zip(panels, domains.items(), strict=True):
        for place, name in enumerate(names):
            row = _oracle(found) if name == "oracle" else found["rows"].get(name)
            if row is None or row["mean"] is None:
                continue
            colour = COLOURS[name]
            panel.plot([row["min"], row["max"]], [place, place], color=colour, linewidth=2)
            panel.plot(row["mean"], place, "D" if name == "after" else "o", color=colour)
            side = -1 if row["mean"] > 0.75 else 1
            _note(panel, f"{row['mean']:.3f}", row["mean"], place, (9 * side, 0))
        before = found["rows"]["before"]["mean"]
        panel.axvline(before, color="black", linewidth=0.6, linestyle=":")
        panel.set(title=domain.upper(), xlim=(0, 1.02), xlabel="F-score")
    panels[0].set_yticks(
        range(len(names)), [{"oracle": "Oracle"}.get(name) or row_title(name) for name in names]
    )
    panels[0].invert_yaxis()
    return figure


def draw_regret(domains: Mapping[str, Any]) -> Figure:
    """Draw what not knowing the labels cost in each domain.

    Parameters
    ----------
    domains : mapping
        Domains B of a comparison.

    Returns
    -------
    Figure
        One bar a domain, with the smallest and largest of the runs.
    """
    figure = Figure(figsize=(5, 2.6), layout="constrained")
    axes = figure.subplots()
    for place, found in enumerate(domains.values()):
        row = found["rows"]["regret"]
        axes.bar(place, row["mean"], color=COLOURS["after"], width=0.6)
        axes.plot([place, place], [row["min"], row["max"]], color="black", linewidth=1.2)
        _note(axes, f"{row['mean']:.3f}", place, row["max"], (0, 4), horizontal="center")
    axes.axhline(WANTED_REGRET, color="black", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(domains)), [name.upper() for name in domains])
    axes.set_ylabel("Regret (F)")
    axes.margins(y=0.15)
    return figure


def draw_label_free(domains: Mapping[str, Any]) -> Figure:
    """Draw what the choice sees against what the labels say.

    Parameters
    ----------
    domains : mapping
        Domains B of a comparison, with ``label_free`` and ``edge_support`` by candidate.

    Returns
    -------
    Figure
        The label-free score, and the support of contours by edges. One point a domain and candidate; a colour a candidate,
        a marker a domain. Lines join the candidates of a domain.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    titles = {"label_free": "Label-free score", "edge_support": "Support of contours by edges"}
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        for marker, found in zip(MARKERS, domains.values(), strict=False):
            points = {
                name: (value["mean"], found["rows"][name]["mean"])
                for name, value in found.get(measure, {}).items()
                if name in found["rows"] and None not in (value["mean"], found["rows"][name]["mean"])
            }
            axes.plot(*zip(*sorted(points.values()), strict=True), color="#cccccc", linewidth=0.8, zorder=1)
            for name, (x, y) in points.items():
                axes.plot(x, y, marker, color=COLOURS[name], linestyle="none")
        axes.set(xlabel=f"{title} (training frames)")
    for name in ("before", *CANDIDATES):
        axes.plot([], [], "s", color=COLOURS[name], label=row_title(name))
    for marker, domain in zip(MARKERS, domains, strict=False):
        axes.plot([], [], marker, color="#666666", label=domain.upper())
    panels[0].set(ylabel="F-score (test frames)")
    figure.legend(loc="outside right center", frameon=False)
    return figure


def draw_ablation(ablation: Mapping[str, Any]) -> Figure:
    """Draw the small experiments: retraining, tones, and the pixel classifier that was not kept.

    Parameters
    ----------
    ablation : mapping
        Content of ``ablation.json``.

    Returns
    -------
    Figure
        Four panels.
    """
    figure = Figure(figsize=(9, 7), layout="constrained")
    panels = figure.subplots(2, 2)
    for panel, (domain, variants) in zip(panels[0], ablation["retrain"].items(), strict=True):
        for colour, (name, scores) in zip(("#d55e00", "#0072b2", "#009e73"), variants.items(), strict=False):
            steps = [int(step) for step in scores]
            panel.plot(steps, list(scores.values()), "o-", color=colour, label=name)
            for step, score in zip(steps, scores.values(), strict=True):
                _note(panel, f"{score:g}", step, score, (4, 5), colour=colour)
        panel.set(title=f"Retraining, {domain}", xlabel="Steps", ylabel="F-score", ylim=(0, 1.08))
        panel.margins(x=0.15)
        panel.legend(frameon=False, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    tones, classifier = panels[1]
    for place, scores in enumerate(ablation["tones"].values()):
        tones.plot(scores["label_free"], place, "o", color=COLOURS["oracle"])
        tones.plot(scores["f_score"], place, "D", color=COLOURS["after"])
        _note(tones, f"{scores['label_free']:g}", scores["label_free"], place, (0, 6), horizontal="center")
        _note(tones, f"{scores['f_score']:g}", scores["f_score"], place, (0, 6), horizontal="center")
    tones.plot([], [], "o", color=COLOURS["oracle"], label="label-free score")
    tones.plot([], [], "D", color=COLOURS["after"], label="F-score")
    tones.set_yticks(range(len(ablation["tones"])), list(ablation["tones"]))
    tones.set(title="Tones, ZEISS at ×0.5", xlim=(0.5, 1.05), ylim=(2.5, -0.6))
    tones.legend(frameon=False, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
    for colour, (domain, scores) in zip(
        ("#0072b2", "#009e73", "#d55e00"), ablation["pixel_classifier"].items(), strict=True
    ):
        classifier.plot([0, 1], scores, "o-", color=colour)
        _note(classifier, f"{scores[0]:g}", 0, scores[0], (-6, 0), horizontal="right", colour=colour)
        _note(classifier, f"{domain} {scores[1]:g}", 1, scores[1], (6, 0), colour=colour)
    classifier.set_xticks([0, 1], ["best chain", "pixel classifier\ntrained on its masks"])
    classifier.set(title="A pixel classifier (not kept)", xlim=(-0.5, 1.9), ylim=(0.6, 1), ylabel="F-score")
    return figure


def draw_unrelated(races: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw what tells images S_A knows nothing of from real domains: the score of the best chain, and its concord.

    Parameters
    ----------
    races : sequence of mapping
        Contents of the ``do_no_harm_SEED.json``, one for each S_A.

    Returns
    -------
    Figure
        A point an S_A and a kind of image, hollow where contours lie on edges no steeper than what is around them, and the
        limits: the upper one of concord is for objects that are not as large as A's.
    """
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(name for name in races[0] if name != "more of A"):
        found = [race[name] for race in races]
        colour = COLOURS["retrain" if name.isupper() else "cyclegan"]
        on_edges = [one["edge_support"] >= NO_SUPPORT for one in found]
        axes.scatter(
            [one["label_free"] for one in found], [one["concord"] for one in found], 28, marker=MARKERS[place],
            facecolors=[colour if steep else "none" for steep in on_edges], edgecolors=colour, label=name,
        )  # fmt: skip
    axes.axvline(TRUSTED, color="black", linewidth=0.8, linestyle=":")
    for limit in (CONCORD, CONCORD_OF_STRANGE):
        axes.axhline(limit, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlabel="Label-free score of the best chain", ylabel="Concord")
    figure.legend(frameon=False, loc="outside right center")
    return figure


def draw_causes() -> Figure:
    """Draw, on simulated frames, the four known causes of a translation that hurts.

    Returns
    -------
    Figure
        A row a cause, three panels each.
    """
    with tempfile.TemporaryDirectory() as folder:
        pair = simulate_pair(Path(folder), seed=3, n_frames=1, shape=(SIDE_PX, SIDE_PX))
        (raw_a, mask_a), (raw_b, mask_b) = (
            (read_frame(root / "01" / "t000.tif"), read_labels(root / "01_ST" / "SEG" / "man_seg000.tif") > 0)
            for root in pair
        )
    a, b = _percentile_scaled(raw_a), _percentile_scaled(raw_b)
    dense, anywhere = _crop(mask_b, 1.0), _crop(mask_a, float(mask_a.mean()))
    balanced = _crop(mask_a, float(mask_b[dense].mean()))
    rows: list[list[tuple[str, NDArray]]] = [
        [
            ("A; the square is what the discriminator judges", a),
            ("B, at the same scale", b),
            ("B, enlarged until its cells are as large", _enlarged(b)),
        ],
        [("B", b), ("a generator that inverts", 1 - b), ("and back: cycle loss 0", b)],
        [
            ("B, 16 bits on a pedestal, divided by 65 535", raw_b / 65535),
            ("B, between two of its percentiles", b),
            ("A, between two of its percentiles", a),
        ],
        [
            (f"crop of B: {mask_b[dense].mean():.0%} cells", b[dense]),
            (f"crop of A, anywhere in it: {mask_a[anywhere].mean():.0%} cells", a[anywhere]),
            (f"crop of A, balanced: {mask_a[balanced].mean():.0%} cells", a[balanced]),
        ],
    ]
    figure = Figure(figsize=(8.4, 11.2), layout="constrained")
    panels = figure.subplots(len(rows), 3)
    titles = ("1  Object size", "2  Polarity", "3  Stored range", "4  Class balance")
    for line, cells, title in zip(panels, rows, titles, strict=True):
        line[0].set_ylabel(title, fontsize=11)
        for panel, (caption, image) in zip(line, cells, strict=True):
            panel.imshow(np.rint(image * 24) / 24, cmap="gray", vmin=0, vmax=1, interpolation="none")
            panel.set_title(caption, fontsize=8.5)
            panel.set(xticks=[], yticks=[])
    for panel in panels[0]:
        panel.add_patch(
            mpl.patches.Rectangle(
                ((SIDE_PX - PATCH_PX) / 2,) * 2, PATCH_PX, PATCH_PX, fill=False, color=COLOURS["cyclegan_sa"]
            )
        )
    return figure


def _oracle(found: Mapping[str, Any]) -> dict[str, float | None]:
    """F of the best candidate: that of the chosen one and the regret."""
    after, regret = found["rows"]["after"]["mean"], found["rows"]["regret"]["mean"]
    mean = None if after is None or regret is None else after + regret
    return {"mean": mean, "min": mean, "max": mean}


def _percentile_scaled(image: NDArray) -> NDArray:
    """Bring two percentiles of a frame to 0 and 1."""
    low, high = np.percentile(image, (0.1, 99.9))
    return np.clip((image - low) / (high - low), 0, 1)


def _enlarged(image: NDArray) -> NDArray:
    """Cut out the middle and enlarge it by the ratio of A's cell size to B's, to the size it had."""
    zoomed = ndimage.zoom(image, 5 / 3, order=1)
    start = (zoomed.shape[0] - SIDE_PX) // 2
    return zoomed[start : start + SIDE_PX, start : start + SIDE_PX]


def _crop(mask: NDArray, fraction: float, size: int = 56) -> tuple[slice, slice]:
    """Find the square whose foreground fraction is nearest to a given one."""
    places = [
        (slice(top, top + size), slice(left, left + size))
        for top in range(0, mask.shape[0] - size, 4)
        for left in range(0, mask.shape[1] - size, 4)
    ]
    return min(places, key=lambda place: abs(mask[place].mean() - fraction))


def _note(
    axes: Any,
    text: str,
    x: float,
    y: float,
    shift: tuple[float, float],
    *,
    horizontal: str = "",
    colour: str = "#444444",
) -> None:
    """Write a value beside its point."""
    axes.annotate(
        re.sub(r"\b0\.", ".", text),
        (x, y),
        shift,
        textcoords="offset points",
        ha=horizontal or ("right" if shift[0] < 0 else "left"),
        va="center" if shift[1] == 0 else "baseline",
        fontsize=7.5,
        color=colour,
    )


if __name__ == "__main__":
    main()
