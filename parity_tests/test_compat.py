"""What else programs touch: settings, default devices, torch.compile, jit, hub, backends, cuda."""

from __future__ import annotations

import warnings

import pytest

from parity_tests import harness
from parity_tests.harness import candidate
from parity_tests.traces import attempt, traced


@traced
def test_settings(torch, say):
    say(torch.are_deterministic_algorithms_enabled(), torch.get_deterministic_debug_mode())
    torch.use_deterministic_algorithms(True)
    say(torch.are_deterministic_algorithms_enabled(), torch.get_deterministic_debug_mode())
    torch.use_deterministic_algorithms(True, warn_only=True)
    say(torch.is_deterministic_algorithms_warn_only_enabled(), torch.get_deterministic_debug_mode())
    for mode in ("default", "warn", "error", 1, 0, "other", 3, 1.5):
        say(attempt(lambda mode=mode: torch.set_deterministic_debug_mode(mode)),
            torch.get_deterministic_debug_mode())
    torch.use_deterministic_algorithms(False)
    say(torch.get_float32_matmul_precision())
    torch.set_float32_matmul_precision("high")
    say(torch.get_float32_matmul_precision())
    torch.set_float32_matmul_precision("highest")
    say(torch.is_warn_always_enabled())
    for value in (torch.ones(2), torch.ones(2, dtype=torch.int64), 3, "a", int, len):
        say(torch.typename(value))
    say(attempt(lambda: torch.set_num_interop_threads(0)))


@traced
def test_default_device(torch, say):
    say(torch.get_default_device())
    torch.set_default_device("cpu")
    say(torch.get_default_device())
    torch.set_default_device(None)
    with torch.device("cpu"):
        say(torch.get_default_device(), torch.ones(2).device)
    say(torch.get_default_device(), attempt(lambda: torch.set_default_device("nowhere")))


def test_default_device_of_new_tensors():
    lib = candidate()
    if harness.DEVICE == "cpu":
        pytest.skip("needs two devices")
    with lib.device("cuda"):
        made = [lib.ones(2), lib.tensor([1.0]), lib.arange(3), lib.randn(2), lib.eye(2),
                lib.full((2,), 1.0), lib.empty(2), lib.randperm(3), lib.as_tensor([1]),
                lib.nn.Linear(2, 2).weight]
        assert {tensor.device.type for tensor in made} == {"cuda"}
        assert lib.ones(2, device="cpu").device.type == "cpu"
        with lib.device("cpu"):
            assert lib.ones(2).device.type == "cpu"
    assert lib.ones(2).device.type == "cpu"
    lib.set_default_device("cuda")
    try:
        assert lib.zeros(1).device.type == "cuda" and lib.get_default_device().type == "cuda"
    finally:
        lib.set_default_device(None)


def test_compile_and_jit_run_the_program_as_it_is():
    lib = candidate()
    module = lib.nn.Linear(2, 2)

    def double(x):
        return x * 2

    lib.compiler._warned.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert lib.compile(double) is double and lib.compile(module) is module
        assert lib.compile(mode="max-autotune")(double) is double
        assert lib.jit.script(double) is double and lib.jit.script(module) is module
        assert lib.jit.trace(double, lib.ones(2)) is double
        assert lib.jit.ignore(double) is double and lib.jit.unused(double) is double
        assert lib.compiler.disable()(double) is double and not lib.compiler.is_compiling()
        assert not lib.jit.is_scripting()
    assert [str(each.message).split(":")[0] for each in caught] == [
        "torch.compile", "torch.jit.script", "torch.jit.trace"]
    with pytest.raises(RuntimeError, match="Either mode or options"):
        lib.compile(double, mode="default", options={})
    with pytest.raises(NotImplementedError, match="state_dict"):
        lib.jit.save(module, "model.pt")


def test_hub_is_refused():
    with pytest.raises(NotImplementedError, match=r"torch\.hub\.load: .* network"):
        candidate().hub.load("some/repository", "model")


@traced
def test_backends(torch, say):
    import importlib

    backends = importlib.import_module(f"{torch.__name__}.backends")
    say(backends.mps.is_available(), backends.mps.is_built())
    say(backends.cudnn.is_available() in (False, True), backends.cudnn.benchmark)
    say(backends.cudnn.enabled, backends.cudnn.deterministic)
    say(backends.cuda.matmul.allow_tf32, backends.cuda.math_sdp_enabled())
    say(isinstance(backends.cpu.get_cpu_capability(), str))


def test_switches_of_backends_are_kept():
    cudnn = candidate().backends.cudnn
    cudnn.benchmark = True
    assert cudnn.benchmark
    cudnn.benchmark = False


def test_cuda_without_a_gpu():
    lib = candidate()
    if harness.DEVICE != "cpu" or lib.cuda.is_available():
        pytest.skip("there is a GPU")
    import torch

    for ask in (lambda t: t.cuda.device_count(), lambda t: t.cuda.memory_allocated(),
                lambda t: t.cuda.max_memory_allocated(), lambda t: t.cuda.empty_cache(),
                lambda t: t.cuda.is_initialized(), lambda t: t.cuda.memory_stats(),
                lambda t: t.cuda.synchronize(), lambda t: t.cuda.current_device(),
                lambda t: t.cuda.get_device_name(), lambda t: t.cuda.mem_get_info(),
                lambda t: t.cuda.current_stream(), lambda t: t.cuda.get_arch_list(),
                lambda t: t.cuda.is_bf16_supported(), lambda t: t.cuda.manual_seed(0),
                lambda t: t.cuda.init()):
        if torch.version.cuda is None:
            assert str(attempt(ask, lib)) == str(attempt(ask, torch))


def test_cuda_on_the_device():
    lib = candidate()
    if harness.DEVICE == "cpu":
        pytest.skip("needs CuPy or its stand-in")
    cuda = lib.cuda
    assert cuda.is_available() and cuda.device_count() >= 1 and cuda.is_initialized()
    assert cuda.get_device_name() and cuda.get_device_properties(0).total_memory > 0
    assert len(cuda.get_device_capability()) == 2
    cuda.empty_cache()
    before = cuda.memory_allocated()
    cuda.reset_peak_memory_stats()
    x = lib.ones(1 << 20, device="cuda")
    assert cuda.memory_allocated() - before >= 4 << 20
    del x
    assert cuda.max_memory_allocated() - before >= 4 << 20
    free, total = cuda.mem_get_info()
    assert 0 < free <= total and "MiB" in cuda.memory_summary()
    assert "allocated_bytes.all.peak" in cuda.memory_stats()

    start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    with pytest.raises(ValueError, match="must be recorded"):
        start.elapsed_time(end)
    side = cuda.Stream()
    start.record()
    with cuda.stream(side):
        y = lib.ones(10, device="cuda") * 2
    side.synchronize()
    cuda.current_stream().wait_stream(side)
    end.record()
    end.synchronize()
    assert end.query() and start.elapsed_time(end) >= 0 and float(y.sum()) == 20
    with pytest.raises(ValueError, match="enable_timing"):
        cuda.Event().elapsed_time(end)
    with cuda.device(0), cuda.device(None):
        assert cuda.current_device() == 0
    cuda.set_device(0)
    cuda.synchronize()
    assert cuda.default_stream() is not None and len(cuda.get_rng_state_all()) >= 1


@traced
def test_forked_random_numbers(torch, say):
    torch.manual_seed(3)
    with torch.random.fork_rng():
        say(torch.rand(2))
    say(torch.rand(2))
    with torch.random.fork_rng(enabled=False):
        torch.rand(2)
    return torch.rand(2)


@traced
def test_number_types_and_printing(torch, say):
    say(repr(torch.finfo(torch.float16)), torch.iinfo(torch.int8).max, torch.Size([2, 3]).numel())
    torch.set_default_dtype(torch.float64)
    try:
        say(torch.ones(2).dtype, torch.tensor(1.5).dtype, torch.get_default_dtype())
    finally:
        torch.set_default_dtype(torch.float32)
    torch.set_printoptions(precision=2)
    say(str(torch.tensor([1.23456], device="cpu")))
    torch.set_printoptions(profile="default")
    say(str(torch.tensor([1.23456], device="cpu")), isinstance(torch.get_num_threads(), int))
