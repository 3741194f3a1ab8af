"""Stage: anybody's segmenter → a model directory."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from biostyle.artifacts import BuildOptions, build
from biostyle.checkpoints import CARD, load_model, save_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError
from biostyle.models.foreign import is_entry, open_foreign, try_segmenter


def import_segmenter(
    source: str,
    out: Path,
    preprocessing: Preprocessing,
    *,
    multiple: int = 1,
    options: BuildOptions,
) -> Path:
    """Bring a segmenter into the form that every later stage loads.

    Parameters
    ----------
    source : str
        A model directory of biostyle, a TorchScript file, an exported program ``*.pt2``, or a Python entry
        ``package.module:factory``. A file or an entry is a program, and is run.
    out : Path
        Model directory to make; a file is copied into it.
    preprocessing : Preprocessing
        From raw frame to the input of a file or an entry. A model directory keeps its own.
    multiple : int
        What height and width must be multiples of, for a file or an entry.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    CheckpointError
        If it cannot be read, or is no segmenter of one-channel images.
    """
    path = Path(source)
    own = path.is_dir()
    if own and not (path / CARD).is_file():
        raise CheckpointError(
            f"segmenter must be a model directory with {CARD}, got no {CARD} ({path}). Point at a trained model."
        )
    foreign = {"preprocessing": preprocessing.model_dump(mode="json"), "multiple": multiple}
    settings = {} if own else {**foreign, "entry": source if is_entry(source) else None}

    def work(partial: Path) -> None:
        if own:
            model, card = load_model(path)
            try_segmenter(model, source)
            wanted, training_data = card["preprocessing"], card["training_data"]
        else:
            model = open_foreign(source, multiple)
            wanted, training_data = foreign["preprocessing"], {"frames": []}
        save_model(partial, model, preprocessing=wanted, training_data=training_data)

    inputs = {"segmenter": _code(source) if is_entry(source) else path}
    build(out, "import-segmenter", settings, inputs, work, options)
    return out


def _code(entry: str) -> Path:
    """Find the source file of an entry, so that the segmenter is imported again when it changes."""
    module = entry.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # finding a submodule runs the package around it
        raise _not_importable(entry, f"{type(error).__name__}: {error}") from error
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise _not_importable(entry, f"no module {module}")
    return Path(spec.origin)


def _not_importable(entry: str, reason: str) -> CheckpointError:
    """Describe an entry that is not there."""
    return CheckpointError(
        f"segmenter entry must be importable, got {reason} ({entry}). "
        "Install the package, or put its folder on PYTHONPATH."
    )
