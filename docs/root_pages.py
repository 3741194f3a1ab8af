"""Put the pages that lie beside README.md into the site as well, and turn links to them round.

MkDocs knows only files below ``docs/``; on disk, and wherever the repository is browsed, the links work as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "DECISIONS.md", "GLOSSARY.md")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    root = Path(config.config_file_path).parent
    for name in ROOT_PAGES:
        files.append(File.generated(config, name, abs_src_path=str(root / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links for the site, where all pages lie in one folder."""
    if page.file.src_uri in ROOT_PAGES:
        return markdown.replace("](docs/", "](")
    return markdown.replace("](../", "](")
