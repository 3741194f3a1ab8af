import pytest
import torch

from biostyle.devices import autocast, resolve_device
from biostyle.errors import ConfigError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_the_gpu_if_there_is_one(
    there: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve_device("auto").type == expected


def test_one_of_several_gpus_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize("name", ["gpu", "meta", ""])
def test_refuses_an_unknown_device(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"must be auto, cpu or cuda, got '{name}'\. Choose one of them"):
        resolve_device(name)


def test_refuses_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"got 'cuda' without a CUDA GPU\. Use --device cpu\."):
        resolve_device("cuda")


@pytest.mark.parametrize(
    ("precision", "expected"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)]
)
def test_precision_is_what_is_asked_for(precision: str, expected: torch.dtype) -> None:
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_bfloat16_where_the_processor_has_it(
    native: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: native)
    with autocast(CPU, "auto"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


@pytest.mark.parametrize("native", [True, False])
def test_auto_asks_the_gpu_too(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: native)
    monkeypatch.setattr(torch, "autocast", lambda *args, enabled: asked.update(args=args, enabled=enabled))
    autocast(torch.device("cuda"), "auto")
    assert asked == {"args": ("cuda", torch.bfloat16), "enabled": native}


def test_the_context_can_be_entered_again() -> None:
    context = autocast(CPU, "bfloat16")
    for _ in range(2):
        with context:
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
