"""The page that goes with an exported model: what it is, what it was made from, and how far to trust it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from biostyle.exporting.parts import read_description

CHOICE = "choice.json"
PAPERS = {
    "resnet_generator": (
        "Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, ICCV 2017",
        "10.1109/ICCV.2017.244",
    ),
    "unet": (
        "Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015",
        "10.1007/978-3-319-24574-4_28",
    ),
}
PAPERS["residual_generator"] = PAPERS["resnet_generator"]
_WHAT = {
    "chain": "deterministic matching, no weights",
    "gen_ba": "generator from B to the style of A",
    "segmenter": "segmenter of frames in that style",
    "single_object": "keeps one object of each mask, no weights",
}
_MEASURES = {
    "label_free": "score",
    "confidence": "confidence",
    "agreement": "agreement under rotation",
    "singleness": "in one object",
    "edge_support": "support by edges",
}


def model_card(directory: Path, usage: str) -> str:
    """Write the page.

    Parameters
    ----------
    directory : Path
        An adapted model.
    usage : str
        How the exported model is loaded, in Markdown.

    Returns
    -------
    str
        Markdown.

    Raises
    ------
    CheckpointError
        If the model does not say what it is.
    """
    description = read_description(directory)
    parts = description["parts"]
    lines = [
        "# Adapted segmenter",
        "",
        "A segmenter made for microscope images of kind A, put to work on images of kind B by biostyle.",
        "",
        *_verdict(description),
        "",
        "## Parts",
        "",
        "| part | what it is | architecture | SHA-256 of its weights |",
        "|---|---|---|---|",
    ]
    for name, card in parts.items():
        lines.append(f"| {name} | {_WHAT[name]} | {card['architecture']} | `{card['weights_sha256']}` |")
    lines += ["", "## Preprocessing", "", "```json"]
    first = next(iter(parts.values()))["preprocessing"]
    lines += [json.dumps(first, indent=1, sort_keys=True), "```", ""]
    lines += ["## Training data", "", "| part | frames | fingerprints |", "|---|---|---|"]
    for name, card in parts.items():
        trained = card["training_data"]
        lines.append(f"| {name} | {len(trained['frames'])} | {_fingerprints(trained)} |")
    lines += ["", *_scores(directory), "## How to load it", "", usage.rstrip(), "", *_papers(parts)]
    return "\n".join(lines).rstrip() + "\n"


def cited(parts: dict[str, Any]) -> list[tuple[str, str]]:
    """List the papers that the parts follow.

    Parameters
    ----------
    parts : dict
        Cards of the parts by name.

    Returns
    -------
    list of tuple of str
        Text and DOI.
    """
    found = [PAPERS[card["architecture"]] for card in parts.values() if card["architecture"] in PAPERS]
    return list(dict.fromkeys(found))


def _verdict(description: dict[str, Any]) -> list[str]:
    """Say what was chosen and why, as far as it is known."""
    lines = [
        f"{label}: **{description[key]}**"
        for key, label in (("chosen", "Chosen candidate"), ("verdict", "Verdict"))
        if key in description
    ]
    return ["  \n".join([*lines, str(description.get("reason", ""))]).rstrip()]


def _fingerprints(trained: dict[str, Any]) -> str:
    """Give the fingerprints of the prepared data, shortened."""
    found = {name: value for name, value in trained.items() if name != "frames"}
    digests = {
        name: value["fingerprint"] if isinstance(value, dict) and "fingerprint" in value else value
        for name, value in found.items()
    }
    return ", ".join(f"{name} `{value}`" for name, value in sorted(digests.items())) or "none"


def _scores(directory: Path) -> list[str]:
    """Give the label-free scores of all candidates, if they were kept."""
    try:
        candidates = json.loads((directory / CHOICE).read_text(encoding="utf-8"))["candidates"]
    except (OSError, ValueError, KeyError):
        return []
    measures = [key for key in _MEASURES if any(key in scores for scores in candidates.values())]
    lines = [
        "## Label-free scores",
        "",
        "Measured without masks: a guide, not proof.",
        "",
        f"| candidate | {' | '.join(_MEASURES[key] for key in measures)} |",
        "|---|" + "---|" * len(measures),
    ]
    for name, scores in candidates.items():
        lines.append(f"| {name} | {' | '.join(f'{scores[key]:.3f}' for key in measures)} |")
    return [*lines, ""]


def _papers(parts: dict[str, Any]) -> list[str]:
    """Name the papers to cite."""
    papers = [f"- {text}. doi:{doi}" for text, doi in cited(parts)]
    return ["## Cite", "", *papers] if papers else []
