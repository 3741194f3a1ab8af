"""The examples for many machines: run where that needs no cluster, and compared with one process, byte for byte."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.adapted_models import write_adapted
from tests.conftest import Invoke
from tests.simulated import read_tree
from tests.test_docs import parse, shell_lines

PAGE = Path(__file__).parents[2] / "docs" / "many-machines.md"
EXAMPLES = PAGE.parent / "examples"
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "SLURM_CPUS_PER_TASK": "1",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def project(tmp_path: Path, biostyle: Invoke) -> Path:
    """Files and model where the page has them, and what one process makes of them in ``whole``."""
    for number in range(3):
        path = tmp_path / "new" / "images" / f"day {number}" / "a.tif"
        path.parent.mkdir(parents=True)
        tifffile.imwrite(path, np.random.default_rng(number).integers(0, 4096, (40, 48), dtype=np.uint16))
    model = write_adapted(tmp_path / "runs" / "new" / "model")
    result = biostyle("segment", tmp_path / "new" / "images", "-o", tmp_path / "whole", "--model", model,
                      "--labels", "watershed")  # fmt: skip
    assert result.exit_code == 0, result.output
    return tmp_path


def masks(folder: Path) -> dict[str, bytes]:
    """Results without the records beside them, which name their inputs."""
    return {name: content for name, content in read_tree(folder).items() if name.endswith(".tif")}


def bash(script: str, where: Path, **variables: str) -> None:
    done = subprocess.run(
        ["bash", "-c", script], cwd=where, env={**ENVIRONMENT, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def commands(name: str) -> list[str]:
    """Calls of the program in an example, without what its language puts in for values."""
    text = (EXAMPLES / name).read_text(encoding="utf-8").replace("\\\n", " ")
    text = re.sub(r'"\n\s*"', "", text) if name == "Snakefile" else text
    found = re.findall(r"biostyle (?:segment|stylize)[^\n]*(?:\n +--[^\n]*)*", text)
    return [" ".join(line.split()) for line in found if " -o " in line]


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.is_file()))
def test_every_example_is_on_the_page_and_calls_what_is_there(name: str) -> None:
    assert f"(examples/{name})" in PAGE.read_text(encoding="utf-8")
    if name == "Dockerfile":
        return
    if name.endswith(".py"):
        text = (EXAMPLES / name).read_text(encoding="utf-8")
        assert "cluster.scheduler_address" in text
        (command,) = commands(name)
        parse(command.split('"')[0] + " tcp://scheduler:8786", whole=True)
        return
    (command,) = commands(name)
    command = re.sub(
        r"\{wildcards\.part\}/\{PARTS\}.*|\$\{part\}/\$\{params\.parts\}|\$\(\(.*?\)\)/8", "1/8", command
    )
    parse(command.replace('"$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"', "1/8"), whole=True)


@pytest.mark.slow
def test_a_job_array_makes_the_whole(project: Path) -> None:
    for task in ("1", "2"):
        script = (EXAMPLES / "slurm_array.sh").read_text(encoding="utf-8")
        bash(script, project, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT="2")
    assert masks(project / "masks") == masks(project / "whole")


def run_here(command: str, where: Path, biostyle: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command without another process, in a folder."""
    monkeypatch.chdir(where)
    result = biostyle(*shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


def test_parts_side_by_side_make_the_whole(
    project: Path, biostyle: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line for line in shell_lines(PAGE) if re.search(r"--shard \d/2 &", line)]
    assert len(lines) == 2
    for line in lines:
        run_here(line.partition("&")[0], project, biostyle, monkeypatch)
    assert masks(project / "masks") == masks(project / "whole")


@pytest.mark.slow
def test_dask_on_one_machine_makes_the_whole(project: Path) -> None:
    pytest.importorskip("distributed")
    (line,) = [line for line in shell_lines(PAGE) if "--dask local" in line]
    bash(line.replace("--workers 4", "--workers 1"), project)
    assert masks(project / "masks") == masks(project / "whole")


def test_the_script_of_nextflow_makes_the_whole(
    project: Path, biostyle: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part in a folder of its own with links to folder and model, as Nextflow stages them."""
    (command,) = commands("segment.nf")
    for part in ("1", "2"):
        where = project / f"work{part}"
        where.mkdir()
        (where / "images").symlink_to(project / "new" / "images")
        (where / "model").symlink_to(project / "runs" / "new" / "model")
        values = {"${images}": "images", "${model}": "model", "${part}": part, "${params.parts}": "2"}
        filled = command
        for placeholder, value in values.items():
            filled = filled.replace(placeholder, value)
        run_here(filled, where, biostyle, monkeypatch)
        shutil.copytree(where / "masks", project / "results" / "masks", dirs_exist_ok=True)
    assert masks(project / "results" / "masks") == masks(project / "whole")


def test_the_kubernetes_job_makes_the_whole(
    project: Path, biostyle: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    (command,) = commands("kubernetes_job.yaml")
    images, model = project / "new" / "images", project / "runs" / "new" / "model"
    command = command.replace("/images/new", str(images)).replace("/images/model", str(model))
    command = command.replace("/images/masks", "masks")
    for index in (0, 1):
        shard = command.replace("$((JOB_COMPLETION_INDEX + 1))/8", f"{index + 1}/2")
        run_here(shard, project, biostyle, monkeypatch)
    assert masks(project / "masks") == masks(project / "whole")


@pytest.mark.slow
def test_snakemake_makes_the_whole(project: Path) -> None:
    snakemake = shutil.which("snakemake", path=ENVIRONMENT["PATH"])
    if snakemake is None:
        pytest.skip("snakemake is not installed")
    shutil.copy(EXAMPLES / "Snakefile", project)
    (line,) = [line for line in shell_lines(PAGE) if line.startswith("snakemake ")]
    line = line.replace("--cores 4", "--cores 1").replace("parts=8", "parts=2")
    bash(line, project)
    assert masks(project / "masks") == masks(project / "whole")
    assert {path.name for path in (project / "masks-parts").iterdir()} == {"1.json", "2.json"}


def test_the_jobs_of_dask_jobqueue() -> None:
    jobqueue = pytest.importorskip("dask_jobqueue")
    example = runpy.run_path(str(EXAMPLES / "on_slurm.py"))
    with jobqueue.SLURMCluster(**example["JOB"], job_script_prologue=example["THREADS"]) as cluster:
        script = cluster.job_script()
    assert "#SBATCH --cpus-per-task=4" in script
    assert script.index("export OMP_NUM_THREADS=4") < script.index("--nthreads 1")


def test_the_pods_of_dask_kubernetes() -> None:
    pytest.importorskip("dask_kubernetes")
    spec = runpy.run_path(str(EXAMPLES / "on_kubernetes.py"))["cluster_spec"]()
    for role in ("worker", "scheduler"):
        (container,) = spec["spec"][role]["spec"]["containers"]
        assert container["volumeMounts"] == [{"name": "images", "mountPath": "/images"}]
