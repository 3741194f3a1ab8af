"""What the pages say is there: settings, files, commands, targets and names in code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from pydantic import BaseModel

from biostyle.cli import cli
from biostyle.config import CellTrackingConfig, DermoscopyConfig, load_config
from biostyle.data.sources.simulated import simulate_pair
from biostyle.pipelines.fundus import FundusConfig
from tests.adapted_models import write_adapted

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data_manifests" / "README.md"])
FENCE = re.compile(r"^```([\w-]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def blocks(page: Path, language: str) -> list[str]:
    """Fenced code of one language."""
    return [code for name, code in FENCE.findall(page.read_text(encoding="utf-8")) if name == language]


def shell_lines(page: Path) -> list[str]:
    """Lines of code blocks, fenced or indented, that a reader would type, without prompt and comment."""
    text = page.read_text(encoding="utf-8")
    fenced = [code for name, code in FENCE.findall(text) if name in ("", "console", "sh", "bash", "shell")]
    indented = re.findall(r"^ {4,}\S.*$", FENCE.sub("", text), re.MULTILINE)
    lines = "\n".join([*fenced, *indented]).replace("\\\n", " ").splitlines()
    return [line.strip().removeprefix("$ ") for line in lines]


def inline_commands(page: Path) -> list[str]:
    """Inline code that begins with the program's name."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    commands = re.findall(r"`(?:\w+=\$\()?(biostyle [^`)]+)\)?`", text)
    return [" ".join(command.split()) for command in commands]


def parse(command_line: str, whole: bool) -> None:
    """Walk the command tree, and fail on a verb, option or required argument that is not as written."""
    words = [word for word in shlex.split(command_line, comments=True)[1:] if word != "…"]
    command: click.Command = cli
    context = click.Context(command, info_name="biostyle")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"no command {name!r} in {command_line!r}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    if isinstance(command, click.Group):
        assert set(words) <= {"-h", "--help", "--version"}, f"unknown words in {command_line!r}"
        return
    values, rest, _ = command.make_parser(context).parse_args(words)
    assert not rest, f"{rest} left over in {command_line!r}"
    given = {key for key, value in values.items() if isinstance(value, str | tuple | list) and value}
    if whole and "--help" not in words:
        missing = [param.name for param in command.params if param.required and param.name not in given]
        assert not missing, f"{missing} missing in {command_line!r}"
    if overrides := values.get("overrides"):
        kind = {"dermoscopy": DermoscopyConfig, "fundus": FundusConfig}.get(
            command.name or "", CellTrackingConfig
        )
        preset = f"{command.name}/cpu" if kind is not CellTrackingConfig else "cell_tracking/cpu"
        load_config(preset, [text for text in overrides if not text.isupper()], kind)


@every_page
def test_commands_are_there(page: Path) -> None:
    for line in shell_lines(page):
        if line.startswith("biostyle "):
            parse(line, whole=True)
    for command in inline_commands(page):
        parse(command, whole=False)


def test_a_wrong_command_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="no command 'tracking'"):
        parse("biostyle run tracking", whole=True)
    with pytest.raises(click.NoSuchOption, match="--ouch"):
        parse("biostyle run cell-tracking --ouch", whole=True)
    with pytest.raises(AssertionError, match=r"\['out'\] missing"):
        parse("biostyle predict prepared --segmenter model", whole=True)


@every_page
def test_make_targets_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [line.split("#")[0].split()[1:] for line in shell_lines(page) if line.startswith("make ")]
    inline = re.findall(r"`make ([a-z][a-z ]*)`", page.read_text(encoding="utf-8"))
    wanted = {target for line in [*named, *map(str.split, inline)] for target in line if "=" not in target}
    assert wanted <= targets


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    text = COMMENT.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"<img[^>]+src=\"([^\"]+)\"", text)
    local = [link for link in links if not re.match(r"[a-z]+:|#", link)]
    broken = [link for link in local if not (page.parent / link.partition("#")[0]).exists()]
    assert not broken
    for link in local:
        target, _, anchor = link.partition("#")
        if anchor and target.endswith(".md"):
            assert anchor in anchors(page.parent / target), link


def anchors(page: Path) -> set[str]:
    """Names that a page's headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@every_page
def test_code_blocks_parse(page: Path) -> None:
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("biostyle"):
                module = importlib.import_module(str(node.module))
                missing = [name.name for name in node.names if not hasattr(module, name.name)]
                assert not missing, f"{node.module} has no {missing}"
    for code in blocks(page, "toml"):
        table = tomllib.loads(code)
        if "pipeline" in table:
            CellTrackingConfig.model_validate(table)


def documented_settings(page: str = "configuration.md") -> dict[str, str]:
    """Default as written, by dotted key, from the tables of a page."""
    settings, prefix = {}, ""
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("## ") or (page != "configuration.md" and line.startswith("### ")):
            named = re.search(r"`\[(.+)\]`", line)
            prefix = f"{named[1]}." if named else ""
        elif row := re.match(r"\| `(\w+)` \| ([^|]+) \|", line):
            settings[prefix + row[1]] = row[2].strip()
    return settings


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and default of every setting, tables themselves left out."""
    for name, field in model.model_fields.items():
        key = prefix + name
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if is_model(kind)]
        if inner:
            below = f"{key}.NAME." if get_origin(field.annotation) is dict else f"{key}."
            yield from settings_of(inner[0], below)
        if not inner or name == "derive":
            yield key, ... if field.is_required() else field.default


def is_model(kind: Any) -> bool:
    """Tell a settings class from other annotations."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def test_every_setting_is_documented() -> None:
    check_settings(documented_settings(), dict(settings_of(CellTrackingConfig)))


def test_settings_of_dermoscopy_alone_are_documented_on_its_page() -> None:
    own = DermoscopyConfig.__annotations__.keys() - {"model_config"}
    real = {key: value for key, value in settings_of(DermoscopyConfig) if key.split(".")[0] in own}
    written = documented_settings("dermoscopy.md")
    check_settings({key: value for key, value in written.items() if key.split(".")[0] in own}, real)


def test_settings_of_fundus_alone_are_documented_on_its_page() -> None:
    shared = {"segmenter", "stylizer", "split", "judge_input", "grader", "real"}  # or like another table
    real = {key: value for key, value in settings_of(FundusConfig) if key.split(".")[0] not in shared}
    check_settings(documented_settings("fundus.md"), real)


def check_settings(documented: dict[str, str], real: dict[str, Any]) -> None:
    """Compare settings and defaults as written with those in code."""
    assert documented.keys() == real.keys()
    for key, written in documented.items():
        if written in ("required", "none"):
            assert real[key] is (... if written == "required" else None), key
        else:
            value = tomllib.loads(f"value = {written.strip('`')}")["value"]
            assert (tuple(value) if isinstance(value, list) else value) == real[key], key


def test_every_page_is_in_the_navigation() -> None:
    pages = {page.name for page in ROOT.glob("docs/*.md")}
    navigation = set(re.findall(r"^ +- .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert pages <= navigation


@pytest.mark.slow
def test_the_pipeline_on_own_images_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "your-own-images.md"
    for simulated, name in zip(
        simulate_pair(tmp_path / "images", 0, 8, (72, 80)), ("PhC-C2DH-U373", "my-microscope"), strict=True
    ):
        simulated.rename(tmp_path / "images" / name)
    (tmp_path / "mine.toml").write_text(blocks(page, "toml")[0])
    monkeypatch.chdir(tmp_path)
    command = next(line for line in shell_lines(page) if line.startswith("biostyle run"))
    small = ["segmenter.n_steps=2", "segmenter.n_filters=2", "retrain.n_steps=2"]
    overrides = [word for setting in small for word in ("--set", setting)]
    result = CliRunner().invoke(cli, [*shlex.split(command)[1:], *overrides, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    written = re.findall(r"`(runs/mine/[^`]+)`", page.read_text(encoding="utf-8"))
    assert written
    assert all(Path(path).exists() for path in written)


@pytest.mark.slow
def test_the_commands_for_own_images_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "your-own-images.md"
    monkeypatch.chdir(tmp_path)
    write_adapted(tmp_path / "runs" / "new" / "model")
    simulate_pair(tmp_path / "DIR", 0, 2, (64, 72))[1].rename(tmp_path / "DIR" / "Fluo-N2DH-GOWT1")
    simulate_pair(tmp_path / "biostyle-demo" / "data", 0, 2, (64, 72))
    movie = np.random.default_rng(0).integers(0, 4096, (3, 40, 48), dtype=np.uint16)
    for path in ("new/images/movie.tif", "plate1.ome.tif", "day 1/a.tif"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / path, movie, metadata={"axes": "TYX"}, imagej="ome" not in path)
    commands = [line for line in shell_lines(page) if re.match(r"biostyle (preview|stylize|segment)", line)]
    assert len(commands) >= 8
    for number, command in enumerate(commands):
        words = shlex.split(command.partition(" > ")[0])[1:]
        words[words.index("-o") + 1] += str(number)
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0, result.output
    names: dict[str, Any] = {}
    for code in blocks(page, "python"):
        if "dask" not in code or importlib.util.find_spec("dask"):
            exec(code, names)
    assert names["stylized"].shape == names["labels"].shape == movie.shape
    np.testing.assert_array_equal(names["foreground"], (names["masks"] > 0).mean(axis=(1, 2)))
