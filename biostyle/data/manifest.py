"""A data set's manifest: one TOML file saying where the data are, what they are and under which terms."""

from __future__ import annotations

import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from biostyle.errors import ManifestError
from biostyle.validation import did_you_mean

Reader: TypeAlias = Literal[
    "cell_tracking",
    "isic",
    "ph2",
    "waterloo",
    "dermofit",
    "smartskins",
    "eyepacs",
    "idrid",
    "drive",
    "chasedb1",
    "hrf",
    "fives",
]
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_SCHEMA_PAGE = "data_manifests/README.md explains every key."


def _inside(path: str) -> str:
    """Refuse a path that would leave the folder it is relative to."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or "\\" in path or ".." in parts:
        raise ValueError("leaves the folder")
    return path


def _archive_name(name: str) -> str:
    """Refuse a file name that no extractor here understands."""
    if not name.lower().endswith(ARCHIVE_SUFFIXES):
        raise ValueError("unknown archive type")
    return name


_PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_RelativePath = Annotated[str, AfterValidator(_inside)]


class _Table(BaseModel):
    """A TOML table that refuses unknown keys and never changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArchiveFile(_Table):
    """One archive of a data set.

    The descriptions of the fields are the rules that errors quote; ``data_manifests/README.md`` explains them.
    """

    name: Annotated[str, AfterValidator(_archive_name)] = Field(
        pattern=_PLAIN_NAME,
        description=f"a plain file name ending in one of {', '.join(ARCHIVE_SUFFIXES)}",
    )
    url: str | None = Field(
        default=None, pattern=r"^https?://[^\s/]+/\S*$", description="an http or https address"
    )
    size_bytes: int = Field(gt=0, description="a positive whole number of bytes")
    size_is_approximate: bool = Field(default=False, description="true or false")
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="64 lowercase hexadecimal digits"
    )
    top_folder: _RelativePath = Field(default=".", description="a folder inside the archive")
    extracts_to: _RelativePath = Field(default=".", description="a folder inside the data set's folder")

    @property
    def max_bytes(self) -> int:
        """Largest size, in bytes, that is still believed to be this archive."""
        return 2 * self.size_bytes if self.size_is_approximate else self.size_bytes


class Manifest(_Table):
    """A data set: what it is, its terms, and the archives it comes in.

    The descriptions of the fields are the rules that errors quote; ``data_manifests/README.md`` explains them.
    """

    name: str = Field(
        pattern=_PLAIN_NAME, description="a plain folder name of letters, digits, '.', '_' and '-'"
    )
    title: str = Field(min_length=1, description="a line of text")
    modality: str = Field(min_length=1, description="a line of text")
    pixel_size_um: float | None = Field(default=None, gt=0, description="a positive number of micrometres")
    licence: str = Field(min_length=1, description="a line of text")
    terms: str = Field(min_length=1, description="the terms of use, as text")
    access: Literal["open", "registration"] = Field(description="'open' or 'registration'")
    homepage: str = Field(pattern=r"^https?://\S+$", description="an http or https address")
    citation: str = Field(min_length=1, description="a reference to cite")
    doi: str | None = Field(
        default=None, pattern=r"^10\.\d{4,}/\S+$", description="a DOI such as 10.1000/xyz"
    )
    reader: Reader = Field(description=f"one of {', '.join(map(repr, get_args(Reader)))}")
    expects: list[_RelativePath] = Field(
        min_length=1, description="a list of file patterns inside the data set's folder"
    )
    unpacked_bytes: int = Field(gt=0, description="a positive whole number of bytes")
    files: list[ArchiveFile] = Field(description="a list of [[files]] tables")

    @model_validator(mode="after")
    def _open_means_fetchable(self) -> Manifest:
        """Demand an address of every archive of an open data set."""
        if self.access == "open" and (not self.files or any(file.url is None for file in self.files)):
            raise ValueError("files must each have a url where access is 'open'")
        return self


def built_in_names() -> list[str]:
    """Name the data sets whose manifests come with biostyle.

    Returns
    -------
    list of str
        Sorted names.

    Examples
    --------
    >>> "PhC-C2DH-U373" in built_in_names()
    True
    """
    folder = resources.files("biostyle.data_manifests")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if _is_toml(entry.name))


def load_manifest(dataset: str | Path) -> Manifest:
    """Read a manifest that comes with biostyle, or one of your own.

    Parameters
    ----------
    dataset : str or Path
        Name of a built-in data set, or the path of a manifest ending in ``.toml``.

    Returns
    -------
    Manifest
        The checked manifest.

    Raises
    ------
    ManifestError
        If there is no such data set or file, or the file breaks the schema.

    Examples
    --------
    >>> load_manifest("PhC-C2DH-U373").pixel_size_um
    0.65
    """
    if _is_toml(str(dataset)):
        return _read(Path(dataset))
    if dataset not in built_in_names():
        names = built_in_names()
        said = f"data set must be one of {', '.join(names)} or a .toml file, got {str(dataset)!r}."
        hint = did_you_mean(str(dataset), names)
        raise ManifestError(" ".join(filter(None, (said, hint, "Run `biostyle data list`."))))
    return _read(resources.files("biostyle.data_manifests") / f"{dataset}.toml")


def _is_toml(name: str) -> bool:
    """Tell a manifest file from a data set's name."""
    return name.endswith(".toml")


def _read(path: Path | Traversable) -> Manifest:
    """Parse and check one file."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(
            f"manifest must be a readable file, got {error.strerror} ({path}). Check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"manifest must be TOML, got {error} ({path}). Correct that line.") from error
    try:
        return Manifest.model_validate(table)
    except ValidationError as error:
        unknown_first = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        raise ManifestError(_explain(unknown_first[0], str(path))) from error


def _explain(problem: Any, path: str) -> str:
    """Turn one of pydantic's complaints into one line that names the key and its rule."""
    location = problem["loc"]
    key = ".".join(str(part) for part in location)
    fields = (ArchiveFile if location[:1] == ("files",) and len(location) > 1 else Manifest).model_fields
    if problem["type"] == "extra_forbidden":
        hint = did_you_mean(str(location[-1]), list(fields))
        said = f"{key} must be a known key, got {problem['input']!r} ({path})."
        return " ".join(filter(None, (said, hint, _SCHEMA_PAGE)))
    if not location:
        return f"{problem['ctx']['error']} ({path}). {_SCHEMA_PAGE}"
    names = [part for part in location if isinstance(part, str)]
    rule = fields[names[-1]].description if len(location) != 2 or names[-1] != "files" else "a table"
    got = "nothing" if problem["type"] == "missing" else repr(problem["input"])
    return f"{key} must be {rule}, got {got} ({path}). {_SCHEMA_PAGE}"
