"""Segment a folder with Dask workers that are Slurm jobs: ``pip install dask-jobqueue``, then run it on a login node."""

import subprocess

from dask_jobqueue import SLURMCluster

COMMAND = "biostyle segment new/images -o masks --model runs/new/model --labels watershed --dask"
JOB = {"cores": 1, "processes": 1, "memory": "8GB", "walltime": "04:00:00", "job_cpu": 4}
THREADS = ["export OMP_NUM_THREADS=4"]  # one task at a time in a worker, on all cores of its job

if __name__ == "__main__":
    with SLURMCluster(**JOB, job_script_prologue=THREADS) as cluster:
        cluster.scale(jobs=8)
        subprocess.run([*COMMAND.split(), cluster.scheduler_address], check=True)
