"""Stage: S_A, candidates and the choice among them → one adapted model that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from biostyle.adapted_model import save_adapted
from biostyle.artifacts import BuildOptions, build, versions, write_json
from biostyle.stages.select import read_choice

CHOICE = "choice.json"  # under this name select.read_choice finds it


def export_adapted(
    segmenter: Path,
    candidates: dict[str, Path],
    choice: Path,
    out: Path,
    *,
    left_out: dict[str, str],
    options: BuildOptions,
) -> Path:
    """Keep what was chosen.

    Parameters
    ----------
    segmenter : Path
        Model directory of S_A.
    candidates : dict of str to Path
        Candidate directories by name.
    choice : Path
        What :func:`biostyle.stages.select.select` made.
    out : Path
        Adapted model directory to make: ``segmenter``, ``chain`` and ``gen_ba`` as far as they were chosen,
        ``adapted.json``, and ``choice.json``, the whole choice with what was left out.
    left_out : dict of str to str
        Why candidates were not made at all, by name.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """

    def work(partial: Path) -> None:
        decided = read_choice(choice)
        description = {key: decided[key] for key in ("chosen", "verdict", "reason")}
        chosen = candidates.get(decided["chosen"])
        save_adapted(chosen, segmenter, partial, {**description, "made_by": versions()})
        write_json(partial / CHOICE, {**decided, "left_out": {**left_out, **decided.get("left_out", {})}})

    inputs = {"segmenter": segmenter, "choice": choice}
    inputs |= {f"candidate.{name}": directory for name, directory in candidates.items()}
    build(out, "export-adapted", {"left_out": left_out}, inputs, work, options)
    return out
