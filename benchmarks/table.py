"""Put the results of ``make bench`` into docs/benchmarks.md, or print the table.

python benchmarks/table.py --write
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
ORDER = ("generator", "stack", "overlap", "cluster")


def table(results: Path) -> str:
    """Return the table of all results, one section a machine and date, in Markdown."""
    files = [results / f"{name}.json" for name in ORDER if (results / f"{name}.json").is_file()]
    if not files:
        return "Not measured yet: run `make bench`.\n"
    sections: dict[str, list[dict[str, Any]]] = {}
    for path in files:
        content = json.loads(path.read_text(encoding="utf-8"))
        sections.setdefault(_where(content), []).extend(content["rows"])
    return "\n".join(f"{title}\n\n{_rows(rows)}" for title, rows in sections.items())


def page(text: str, results: Path) -> str:
    """Return the page with the table of the results in its place."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table(results)}{END}{rest.split(END)[1]}"


def _where(content: dict[str, Any]) -> str:
    """Say when and where it was measured."""
    machine, packages = content["machine"], content["packages"]
    threads = f"{machine['threads']} thread{'' if machine['threads'] == 1 else 's'}"
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    return (
        f"Measured on {content['date']} on {machine['processor']}, {machine['cores']} cores, "
        f"{threads}{gpu}; torch {packages['torch']}, numpy {packages['numpy']}:"
    )


def _rows(rows: list[dict[str, Any]]) -> str:
    """Return a table."""
    lines = [
        "| work | peer | goal | ratio (range) | ours, s | peer, s | error | notes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in rows:
        goal = f"≥ {each['goal']:g}x" if each["goal"] else "–"
        low, high = each["range"]
        missed = each["goal"] and each["ratio"] < each["goal"]
        ratio = f"{each['ratio']:.2f}x ({low:.2f} to {high:.2f}, {each['rounds']} rounds)"
        cells = [each["work"], each["peer"], goal, f"**{ratio}: missed**" if missed else ratio]
        cells += [
            f"{each['seconds']:.3g}",
            f"{each['peer_seconds']:.3g}",
            each["error"],
            each.get("notes", ""),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--write", is_flag=True, help="Change the page.")
@click.option("--results", type=click.Path(path_type=Path), default=Path(__file__).parent / "results")
def main(write: bool, results: Path) -> None:
    """Show the results of make bench."""
    if write:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    click.echo(table(results))


if __name__ == "__main__":
    main()
