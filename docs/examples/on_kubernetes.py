"""Segment a folder with Dask workers that are pods: ``pip install dask-kubernetes``, then run it where kubectl works.

The cluster must have the operator of dask-kubernetes, an image made with the Dockerfile beside this, and a volume claim
"images" that many pods can read and write. It must be mounted at the same path here: all paths are the same everywhere.
"""

import subprocess

from dask_kubernetes.operator import KubeCluster, make_cluster_spec

IMAGE, CLAIM, MOUNT, N_WORKERS = "registry.example.org/biostyle:latest", "images", "/images", 8
COMMAND = f"biostyle segment {MOUNT}/new -o {MOUNT}/masks --model {MOUNT}/model --labels watershed --device cpu --dask"


def cluster_spec() -> dict:
    """Describe the pods, with the volume in each."""
    resources = {"requests": {"cpu": "4", "memory": "8Gi"}, "limits": {"memory": "8Gi"}}
    spec = make_cluster_spec(
        name="biostyle",
        image=IMAGE,
        n_workers=N_WORKERS,
        resources=resources,
        env={"OMP_NUM_THREADS": "4"},
        worker_command="dask worker --nthreads 1",
    )
    for role in ("worker", "scheduler"):
        pod = spec["spec"][role]["spec"]
        pod["volumes"] = [{"name": "images", "persistentVolumeClaim": {"claimName": CLAIM}}]
        pod["containers"][0]["volumeMounts"] = [{"name": "images", "mountPath": MOUNT}]
    return spec


if __name__ == "__main__":
    with KubeCluster(custom_cluster_spec=cluster_spec()) as cluster:
        subprocess.run([*COMMAND.split(), cluster.scheduler_address], check=True)
