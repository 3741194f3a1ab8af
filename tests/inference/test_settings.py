import pytest
import torch

from biostyle.errors import ConfigError
from biostyle.inference.settings import CPU_MEMORY_BYTES, InferenceSettings


@pytest.mark.parametrize("name", ["memory_bytes", "strip_px", "tile_px"])
def test_numbers_must_be_positive(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} must be at least 1, got -3"):
        InferenceSettings(**{name: -3})


def test_float16_is_not_offered() -> None:
    with pytest.raises(ConfigError, match="got 'float16'"):
        InferenceSettings(precision="float16")  # type: ignore[arg-type]


def test_defaults() -> None:
    cpu = torch.device("cpu")
    assert InferenceSettings().memory_on(cpu) == CPU_MEMORY_BYTES
    assert InferenceSettings(memory_bytes=7).memory_on(cpu) == 7
    assert InferenceSettings().dtype == torch.float32
    assert InferenceSettings(precision="bfloat16").dtype == torch.bfloat16
