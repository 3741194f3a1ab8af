import numpy as np
import pytest
from scipy import linalg

from biostyle.errors import ImageError
from biostyle.metrics.distribution import frechet_distance, kernel_inception_distance

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(60, 8)), RNG.normal(0.5, 1.5, size=(80, 8))


def test_kernel_distance_by_hand() -> None:
    x, y = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    # kernels: within x (0·1+1)³ = 1, within y (1·2+1)³ = 27, between 1, 1, 8, 27
    assert kernel_inception_distance(x, y)["value"] == pytest.approx(1 + 27 - 2 * 37 / 4)


def test_kernel_distance_is_unbiased() -> None:
    values = [
        kernel_inception_distance(*np.random.default_rng(seed).normal(size=(2, 30, 4)), n_subsets=1)["value"]
        for seed in range(300)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(300)
    assert min(values) < 0


def test_the_interval_comes_from_subsets_and_holds_the_value() -> None:
    result = kernel_inception_distance(A, B)
    assert result["ci95"][0] < result["value"] < result["ci95"][1]
    assert result["n"] == [60, 80]
    assert result == kernel_inception_distance(A, B)
    assert result["ci95"] != kernel_inception_distance(A, B, seed=1)["ci95"]


@pytest.mark.parametrize("n", [5, 60], ids=["fewer images than features", "more"])
def test_frechet_distance_is_that_with_the_root_of_a_matrix(n: int) -> None:
    a, b = A[:n], B[:n]
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    eigenvalues = linalg.eigvals(covariances[0] @ covariances[1]).real
    root_trace = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + sum(map(np.trace, covariances)) - 2 * root_trace
    assert frechet_distance(a, b)["value"] == pytest.approx(expected, rel=1e-6)


def test_no_distance_from_itself_whatever_the_order() -> None:
    assert frechet_distance(A, A[::-1])["value"] == pytest.approx(0, abs=1e-9)


def test_few_images_are_not_comparable() -> None:
    assert not frechet_distance(A, B)["comparable"]
    many = RNG.normal(size=(2, 2048, 3))
    assert frechet_distance(*many)["comparable"]
    assert not frechet_distance(many[0], many[1, :2047])["comparable"]


@pytest.mark.parametrize("other", [np.zeros((1, 8)), np.zeros((5, 7)), np.zeros(8)])
def test_refuses_what_cannot_be_compared(other: np.ndarray) -> None:
    for distance in (kernel_inception_distance, frechet_distance):
        with pytest.raises(ImageError, match=rf"got \(60, 8\) and \({other.shape[0]},"):
            distance(A, other)
