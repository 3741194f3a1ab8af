"""The manifest: valid, found by napari, and complete; and nothing else knows napari."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "biostyle" / "napari" / "napari.yaml"
GUI = {"napari", "npe2", "magicgui", "qtpy", "superqt", "vispy", "PyQt6", "PySide6"}


def test_the_manifest_is_valid_and_its_commands_exist() -> None:
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    offered = manifest.contributions
    used = {
        item.command
        for items in (offered.readers, offered.writers, offered.sample_data, offered.widgets)
        for item in items
    }
    assert used == {command.id for command in offered.commands}


def test_napari_finds_the_manifest_and_the_wheel_carries_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    entry = project["project"]["entry-points"]["napari.manifest"]["biostyle"]
    package, _, file = entry.partition(":")
    assert ROOT.joinpath(*package.split("."), file) == MANIFEST
    assert package in project["tool"]["setuptools"]["packages"]
    assert file in project["tool"]["setuptools"]["package-data"][package]


@pytest.mark.parametrize("path", sorted(ROOT.glob("biostyle/**/*.py")), ids=lambda path: path.stem)
def test_napari_and_qt_are_imported_inside_functions_of_the_plugin_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    here = MANIFEST.parent in path.parents
    nodes = tree.body if here else ast.walk(tree)
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    assert not {name.split(".")[0] for name in names} & GUI
