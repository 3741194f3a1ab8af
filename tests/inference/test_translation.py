import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError, ConfigError, OutputError
from biostyle.inference.settings import InferenceSettings
from biostyle.inference.translation import check_statistics, measure_statistics, translate
from biostyle.io.frames import read_frame
from biostyle.models.resnet_generator import ResnetGenerator


def make_generator(decoder: str = "resize", n_blocks: int = 2, seed: int = 0) -> ResnetGenerator:
    """A generator with weights that use the whole range of the tanh."""
    torch.manual_seed(seed)
    generator = ResnetGenerator(n_filters=4, n_blocks=n_blocks, decoder=decoder).eval()
    for parameter in generator.parameters():
        parameter.data.mul_(4)
    return generator


def make_frame(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Cells on an uneven background, so that a tile's statistics differ from the frame's."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = 0.3 * rows / height + 0.2 * columns / width
    for _ in range(12):
        y, x = torch.rand(2, generator=generator) * torch.tensor([height, width])
        image += 0.4 * torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 50)
    return (0.9 * image.clamp(0, 1) + 0.1 * torch.rand(height, width, generator=generator))[None, None]


def least_memory(image: torch.Tensor, strip_px: int) -> int:
    """The frame in and out and ten strips of four float32 filters: nothing is left for layers between passes."""
    width = -(-image.shape[3] // 4) * 4
    return 2 * image.nbytes + 10 * strip_px * width * 4 * 4


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    assert actual.shape == expected.shape
    return ((actual - expected).abs().max() / expected.abs().max()).item()


@torch.inference_mode()
def frozen(
    generator: ResnetGenerator, image: torch.Tensor, statistics: dict[str, torch.Tensor]
) -> torch.Tensor:
    """What the network gives if its norms use given statistics, written down independently."""
    modules = dict(generator.named_modules())
    hooks = []
    for key in statistics:
        name, kind = key.rsplit(".", 1)
        if kind == "mean":
            mean, variance = statistics[key], statistics[f"{name}.variance"]

            def normalise(
                module: nn.Module,
                inputs: tuple[torch.Tensor],
                output: torch.Tensor,
                mean: torch.Tensor = mean,
                variance: torch.Tensor = variance,
            ) -> torch.Tensor:
                values = inputs[0].double() - mean[:, None, None]
                return (values / (variance[:, None, None] + 1e-5).sqrt()).float()

            hooks.append(modules[name].register_forward_hook(normalise))
    result = generator(image)
    for hook in hooks:
        hook.remove()
    return result


@pytest.mark.parametrize("decoder", ["resize", "transpose"])
@pytest.mark.parametrize("strip_px", [1, 64, 96, 200, None])
def test_no_seams_whatever_the_strip(strip_px: int | None, decoder: str) -> None:
    generator, image = make_generator(decoder), make_frame(241, 130)
    with torch.inference_mode():
        expected = generator(image)
    assert expected.std() > 0.02
    assert relative_error(translate(generator, image, InferenceSettings(strip_px=strip_px)), expected) <= 1e-5


@pytest.mark.real
@pytest.mark.parametrize("name", ["PhC-C2DH-U373", "DIC-C2DH-HeLa", "Fluo-N2DL-HeLa", "Fluo-N2DH-GOWT1"])
def test_no_seams_in_real_frames(name: str, real_data: Path) -> None:
    frame = read_frame(min((real_data / "ctc" / name / "01").glob("t*.tif")))
    generator, image = make_generator(), Preprocessing().image_batch(frame)
    with torch.inference_mode():
        expected = generator(image)
    assert relative_error(translate(generator, image, InferenceSettings(strip_px=96)), expected) <= 1e-5


def test_a_tile_on_its_own_is_wrong() -> None:
    generator, image = make_generator(), make_frame(256, 128)
    with torch.inference_mode():
        error = relative_error(generator(image[:, :, :128]), generator(image)[:, :, :128])
    assert error > 0.01


@pytest.mark.parametrize("decoder", ["resize", "transpose"])
@pytest.mark.parametrize("size", [(8, 8), (9, 65), (3, 500), (65, 1), (97, 83), (66, 131), (2, 3)])
def test_any_size(size: tuple[int, int], decoder: str) -> None:
    generator, image = make_generator(decoder), make_frame(*size, seed=1)
    with torch.inference_mode():
        expected = generator(image)
    for strip_px in (5, 64):
        actual = translate(generator, image, InferenceSettings(strip_px=strip_px))
        assert relative_error(actual, expected) <= 1e-5


def test_each_image_of_a_batch_is_translated_on_its_own_and_the_input_stays() -> None:
    torch.manual_seed(0)
    generator = ResnetGenerator(3, 2, n_filters=4, n_blocks=1).eval()
    images = torch.rand(3, 3, 40, 36)
    before = images.clone()
    with torch.inference_mode():
        expected = generator(images)
    assert relative_error(translate(generator, images), expected) <= 1e-5
    assert torch.equal(images, before)


def test_layers_that_do_not_fit_wait_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    generator, image = make_generator(), make_frame(200, 90)
    roomy = InferenceSettings(strip_px=16)
    tight = InferenceSettings(strip_px=16, memory_bytes=least_memory(image, 16))
    expected = translate(generator, image, roomy)
    assert relative_error(translate(generator, image, tight), expected) <= 1e-5
    assert not list(tmp_path.iterdir())


def test_says_when_the_file_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    image = make_frame(200, 90)
    tight = InferenceSettings(strip_px=16, memory_bytes=least_memory(image, 16))
    with pytest.raises(OutputError, match=r"missing.*TMPDIR"):
        translate(make_generator(), image, tight)


def test_says_how_much_memory_a_frame_takes() -> None:
    image = make_frame(64, 64)
    with pytest.raises(ConfigError, match=rf"at least {least_memory(image, 32)}.*64 x 64.*got 1000"):
        translate(make_generator(), image, InferenceSettings(memory_bytes=1000))


def test_bfloat16_keeps_two_digits() -> None:
    generator, image = make_generator(), make_frame(96, 96)
    with torch.inference_mode():
        expected = generator(image)
    error = relative_error(translate(generator, image, InferenceSettings(precision="bfloat16")), expected)
    assert 1e-5 < error < 0.06


class CountedPlanes(Sequence[torch.Tensor]):
    """Planes that are read when they are asked for."""

    def __init__(self, planes: list[torch.Tensor]) -> None:
        self.planes, self.n_reads = planes, 0

    def __len__(self) -> int:
        return len(self.planes)

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]
        self.n_reads += 1
        return self.planes[index]


def test_statistics_of_one_frame_are_its_own() -> None:
    generator, image = make_generator(), make_frame(96, 70)
    statistics = measure_statistics(generator, [image], InferenceSettings(strip_px=20))
    assert len(statistics) == 2 * (3 + 2 * 2 + 2)
    own = translate(generator, image)
    assert relative_error(translate(generator, image, InferenceSettings(statistics=statistics)), own) <= 1e-5


def test_pooled_statistics_are_those_of_the_planes_side_by_side() -> None:
    generator = make_generator()
    planes = CountedPlanes([make_frame(64, 40, seed=0), make_frame(48, 80, seed=1) * 0.5])
    statistics = measure_statistics(generator, planes, InferenceSettings(strip_px=16))
    assert planes.n_reads <= 4 * len(planes)
    first = generator.layers[0]
    with torch.inference_mode():
        values = torch.cat([first(plane * 2 - 1).flatten(2) for plane in planes.planes], dim=2).double()
    torch.testing.assert_close(statistics["layers.1.mean"], values.mean((0, 2)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        statistics["layers.1.variance"], values.var((0, 2), correction=0), rtol=1e-5, atol=1e-6
    )
    for plane in planes.planes:
        for strip_px in (16, 50):
            settings = InferenceSettings(statistics=statistics, strip_px=strip_px)
            actual = translate(generator, plane, settings)
            assert relative_error(actual, frozen(generator, plane, statistics)) <= 1e-5
        assert relative_error(actual, translate(generator, plane)) > 0.01


def test_frozen_statistics_make_a_crop_independent_of_the_rest() -> None:
    generator, image = make_generator(), make_frame(256, 64)
    settings = InferenceSettings(statistics=measure_statistics(generator, [make_frame(64, 64, seed=3)]))
    whole, part = translate(generator, image, settings), translate(generator, image[:, :, :192], settings)
    assert relative_error(part[:, :, :96], whole[:, :, :96]) <= 1e-5


def test_refuses_statistics_of_another_generator() -> None:
    generator = make_generator()
    statistics = measure_statistics(generator, [make_frame(32, 32)])
    with pytest.raises(CheckpointError, match=r"layers\.1\.mean of shape \(8,\), got shape \(4,\)"):
        check_statistics(ResnetGenerator(n_filters=8, n_blocks=2), statistics)
    with pytest.raises(CheckpointError, match=r"layers\.11\.layers\.1\.mean.*got nothing"):
        check_statistics(
            make_generator(n_blocks=3), {k: v for k, v in statistics.items() if "11.lay" not in k}
        )
    broken = statistics | {"layers.1.variance": torch.full((4,), -2.0)}
    with pytest.raises(CheckpointError, match=r"-2 as the least of layers\.1\.variance"):
        check_statistics(generator, broken)


def test_refuses_no_planes() -> None:
    with pytest.raises(ConfigError, match="at least one frame, got 0"):
        measure_statistics(make_generator(), [])


SCRIPT = """
import re, sys, torch
from pathlib import Path
from biostyle.inference.settings import InferenceSettings
from biostyle.inference.translation import translate
from biostyle.models.resnet_generator import ResnetGenerator
torch.set_num_threads(1)
edge = int(sys.argv[1])
generator = ResnetGenerator(n_filters=16, n_blocks=1, decoder="resize").eval()
image = torch.rand(1, 1, edge, 2048)
translate(generator, image[:, :, :64], InferenceSettings(memory_bytes=2**28))
def high_water_bytes():
    # of this process alone: ru_maxrss would also count the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
Path("/proc/self/clear_refs").write_text("5")  # the high water falls to what is used now
before = high_water_bytes()
translate(generator, image, InferenceSettings(memory_bytes=int(sys.argv[2])))
print(high_water_bytes() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_stays_within_what_was_given() -> None:
    budget = 2**26  # a whole layer at full resolution takes twice that
    command = [sys.executable, "-c", SCRIPT, "1024", str(budget)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    assert 0 < int(answer.stdout) < budget  # the frame that came in was there before


def test_intermediate_layers_are_no_larger_than_a_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, image = make_generator(), make_frame(800, 64)
    largest = 0
    conv2d = nn.functional.conv2d

    def watched(values: torch.Tensor, *others: object) -> torch.Tensor:
        nonlocal largest
        out = conv2d(values, *others)
        largest = max(largest, values.numel(), out.numel())
        return out

    monkeypatch.setattr(nn.functional, "conv2d", watched)
    translate(generator, image, InferenceSettings(memory_bytes=least_memory(image, 32)))
    assert largest <= 2 * (32 + 12) * 70 * 4
    assert np.prod(image.shape) * 4 > 4 * largest
