"""Time overlap scores over masks: F over binary masks against scikit-learn, and overlaps of instances.

The peers are what people call: ``sklearn.metrics.f1_score``, ``skimage.metrics.contingency_table`` (a sparse matrix over
all pixels), and cellpose's way, ``cellpose.metrics._label_overlap``: a loop over all pixels that numba compiles. Where numba
is not installed it is left out, since the loop alone would take minutes.

    python benchmarks/overlap.py
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click
import numpy as np
from measuring import interleaved, row, save
from skimage.metrics import contingency_table
from sklearn.metrics import f1_score

from biostyle.metrics.instances import overlap_matrix
from biostyle.metrics.overlap import f_score, pixel_counts
from biostyle.types import NDArray


def disks(edge: int, n_objects: int, seed: int) -> NDArray:
    """Return numbered disks on a jittered grid, touching but not overlapping."""
    rng, per_side = np.random.default_rng(seed), int(np.ceil(n_objects**0.5))
    pitch = edge / per_side
    y, x = np.mgrid[:edge, :edge]
    row_of, column_of = (y // pitch).astype(int), (x // pitch).astype(int)
    centre = rng.uniform(0.35, 0.65, (2, per_side, per_side))[:, row_of, column_of]
    distance = np.hypot(y / pitch - row_of - centre[0], x / pitch - column_of - centre[1])
    labels = row_of * per_side + column_of + 1
    return np.where((distance < 0.4) & (labels <= n_objects), labels, 0).astype(np.uint16)


def cellpose_overlap(pred: NDArray, target: NDArray) -> NDArray:
    """Count as cellpose does."""
    from numba import njit

    global _compiled
    if _compiled is None:

        def count(x: NDArray, y: NDArray, overlap: NDArray) -> NDArray:
            for i in range(len(x)):
                overlap[x[i], y[i]] += 1
            return overlap

        _compiled = njit(count)
    x, y = pred.ravel(), target.ravel()
    return _compiled(x, y, np.zeros((1 + int(x.max()), 1 + int(y.max())), np.uint64))  # type: ignore[misc]


_compiled = None


@click.command()
@click.option("--quick", is_flag=True, help="Tiny sizes, to see that it runs.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Where to write the figures.")
def main(quick: bool, path: Path | None) -> None:
    """Compare ways to count overlaps."""
    edge, n_masks, n_objects, rounds = (64, 2, 9, 2) if quick else (1024, 200, 600, 3)
    truth = [disks(edge, n_objects, seed) for seed in range(n_masks)]
    found = [np.roll(disks(edge, n_objects, seed), 3, axis=1) for seed in range(n_masks)]
    true_masks, found_masks = ([(labels > 0).astype(np.uint8) for labels in each] for each in (truth, found))

    def ours_binary() -> list[float]:
        return [f_score(pixel_counts(*pair)) for pair in zip(found_masks, true_masks, strict=True)]

    def sklearn_binary() -> list[float]:
        pairs = zip(true_masks, found_masks, strict=True)
        return [float(f1_score(true.ravel(), pred.ravel())) for true, pred in pairs]

    def ours_instances() -> list[NDArray]:
        return [overlap_matrix(*pair) for pair in zip(found, truth, strict=True)]

    def skimage_instances() -> list[NDArray]:
        pairs = zip(found, truth, strict=True)
        return [contingency_table(pred, true, sparse_type="array").toarray() for pred, true in pairs]

    error = float(np.abs(np.subtract(ours_binary(), sklearn_binary())).max())
    if error > 1e-12:
        raise click.ClickException(f"F must equal scikit-learn's, got a difference of {error}.")
    instance_peers = {"scikit-image contingency_table": skimage_instances}
    if importlib.util.find_spec("numba"):
        instance_peers["cellpose _label_overlap (numba)"] = lambda: [
            cellpose_overlap(*pair) for pair in zip(found, truth, strict=True)
        ]
    for name, peer in instance_peers.items():
        for ours, theirs in zip(ours_instances(), peer(), strict=True):
            if not np.array_equal(ours[1:, 1:], theirs[1:, 1:]):
                raise click.ClickException(f"overlaps must equal those of {name}.")
    binary = interleaved({"ours": ours_binary, "sklearn": sklearn_binary}, rounds)
    taken = interleaved({"ours": ours_instances, **instance_peers}, rounds)
    size = f"{n_masks} masks of {edge}²"
    rows = [
        row(
            f"F over {size}", "scikit-learn f1_score", 100, binary["ours"], binary["sklearn"], f"{error:.0e}"
        ),
        *(
            row(
                f"overlaps of {n_objects} instances over {size}", name, 10, taken["ours"], taken[name], "none"
            )
            for name in instance_peers
        ),
    ]
    save("overlap", rows, quick, path)


if __name__ == "__main__":
    main()
