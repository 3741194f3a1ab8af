"""An adapted model as a folder in the style of the Hugging Face Hub; nothing is uploaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from biostyle import __version__
from biostyle.adapted_model import DESCRIPTION, load_adapted
from biostyle.artifacts import RECORD, write_json
from biostyle.exporting.card import CHOICE, model_card
from biostyle.exporting.parts import check_model, new_output, read_description

_USAGE = """```python
import biostyle

model = biostyle.load("{name}")  # this folder
masks = model.segment(image)  # (H, W) of any real type
```
"""


def export_huggingface(directory: Path, out: Path, license_id: str = "other") -> Path:
    """Write a folder with weights as safetensors, ``config.json`` and a model card.

    Parameters
    ----------
    directory : Path
        What ``biostyle adapt`` leaves in ``OUT/model``.
    out : Path
        Folder to make. It is an adapted model itself: :func:`biostyle.load` takes it.
    license_id : str
        Licence for the card, as the Hub spells it.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    CheckpointError
        If a part cannot be read. Pickles are never opened.
    ChecksumError
        If a file of a finished directory is missing, new or altered.
    OutputError
        If `out` exists or cannot be written.
    """
    check_model(directory)
    adapted = load_adapted(directory)
    description = read_description(directory)
    parts: dict[str, Any] = description["parts"]
    config: dict[str, Any] = {
        "model_type": "biostyle",
        "library_version": __version__,
        "parts": {
            name: {key: card[key] for key in ("architecture", "arguments", "weights_sha256")}
            for name, card in parts.items()
        },
        "preprocessing": adapted.preprocessing.model_dump(mode="json"),
        **{key: description[key] for key in ("chosen", "verdict", "reason") if key in description},
    }
    with new_output(out) as partial:
        folder = partial / out.name
        folder.mkdir()
        for name in parts:
            shutil.copytree(
                directory / name, folder / name, ignore=shutil.ignore_patterns("resume", "samples", RECORD)
            )
        for name in (DESCRIPTION, CHOICE):
            if (directory / name).is_file():
                shutil.copyfile(directory / name, folder / name)
        write_json(folder / "config.json", config)
        front = f"---\nlicense: {license_id}\nlibrary_name: biostyle\npipeline_tag: image-segmentation\n"
        front += "tags:\n- biology\n- microscopy\n- segmentation\n- domain-adaptation\n---\n\n"
        page = front + model_card(directory, _USAGE.format(name=out.name))
        (folder / "README.md").write_text(page, encoding="utf-8")
    return out
