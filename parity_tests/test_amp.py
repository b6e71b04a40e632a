"""Mixed precision: which ops autocast casts, its state, GradScaler."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import warnings

import pytest
import torch
from torch.testing._internal.autocast_test_lists import AutocastCPUTestLists, AutocastTestLists

from parity_tests import harness
from parity_tests.compare import dtype_name
from parity_tests.harness import candidate, check_error, program
from parity_tests.operator_levels import both, noting, pair
from parity_tests.operator_samples import flat, in_scope, present, quiet, samples_of, title
from parity_tests.operator_samples import translated as to_candidate
from parity_tests.test_operators import relative

ON_CPU = harness.DEVICE == "cpu"  # torch has no GPU here: for it there are only its lists
SAMPLES = 4  # of each operator in each dtype
AMP_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


# --- op by op, for docs/parity.md ----------------------------------------------------------------

def under_autocast(function, lib, amp):
    def call(*args, **kwargs):
        with lib.autocast("cpu", dtype=getattr(lib, amp)):
            return function(*args, **kwargs)

    call.__name__ = getattr(function, "__name__", "op")
    return call


def inputs(op, amp):
    """Samples in float32, which autocast may lower, and in its own dtype, which it may raise."""
    for dtype in (torch.float32, AMP_DTYPES[amp]):
        if dtype in op.supported_dtypes("cpu") or dtype is torch.float32:
            try:
                yield from samples_of(op, dtype, False, SAMPLES)
            except RuntimeError:  # torch cannot make them in 16 bits
                continue


def applies(op):
    return torch.float32 in op.supported_dtypes("cpu")


def expected_cells():
    """{operator: the dtypes autocast knows}, for docs/parity.md."""
    return {title(op): list(AMP_DTYPES) for op in in_scope() if applies(op)}


@pytest.mark.parametrize(("op", "amp"), [
    pytest.param(op, amp, id=f"{title(op)}-{amp}") for op in present() if applies(op)
    for amp in AMP_DTYPES] if ON_CPU else [])
def test_operator_under_autocast(op, amp, record_property):
    functions = [under_autocast(function, lib, amp)
                 for function, lib in zip(pair(op), (candidate(), torch), strict=True)]
    compared = 0
    with quiet():
        for sample in inputs(op, amp):
            with noting(sample, functions[1]):
                ours, theirs = both(tuple(functions), sample)
                if isinstance(theirs.result, Exception):
                    continue
                if isinstance(ours.result, Exception):
                    raise ours.result
                assert list(map(dtype_name, flat(ours.result))) == list(
                    map(dtype_name, flat(theirs.result)))
                compared += 1
    assert compared, "no sample was compared"
    function = inspect.unwrap(pair(op)[0])
    code = getattr(getattr(getattr(function, "op", None), "kernel", function), "__code__", None)
    record_property("source", relative(f"{code.co_filename}:{code.co_firstlineno}") if code else "")


# --- torch's lists -------------------------------------------------------------------------------

# What has no counterpart here: private kernels, cuDNN's, quantisation, cells of recurrent networks.
ELSEWHERE = set("""
    _addmm_activation _convolution _grid_sampler_2d_cpu_fallback _lu_with_info
    _native_multi_head_attention _scaled_dot_product_flash_attention _thnn_fused_gru_cell
    _thnn_fused_lstm_cell convolution cudnn_convolution cudnn_convolution_transpose
    fake_quantize_per_tensor_affine mkldnn_rnn_layer multilabel_margin_loss_forward
    native_layer_norm nll_loss2d frobenius_norm nuclear_norm""".split())
CALLED = {"cross_entropy_loss": "cross_entropy", "linalg_matrix_norm": "matrix_norm",
          "linalg_vector_norm": "vector_norm", "linalg_cholesky": "linalg_cholesky"}


@pytest.mark.parametrize("place", ["cpu", "cuda"])
def test_the_lists_are_torchs(place):
    from minigrad import autocast_rules as rules

    key = f"Autocast{place.upper()}"
    theirs = set()
    for full in torch._C._dispatch_get_all_op_names():
        if full.startswith("aten::") and torch._C._dispatch_has_kernel_for_dispatch_key(full, key):
            name = full[6:].partition(".")[0]
            if name in ELSEWHERE:
                continue
            name = CALLED.get(name) or re.sub("^(linalg|fft)_", "", name)
            theirs.add("interpolate" if "upsample_" in name else name)
    ours = set().union(*(each[place] for each in (rules.LOWER, rules.FULL, rules.WIDEST,
                                                  rules.REFUSED)))
    assert theirs - ours == set()
    assert ours - theirs <= {"ctc_loss_by_number"}  # torch.ctc_loss, the other overload


def listed():
    """Each op of torch's own autocast tests: (name, module, arguments, the dtype of the result)."""
    lists, low = (AutocastCPUTestLists, torch.bfloat16) if ON_CPU else (
        AutocastTestLists, torch.float16)
    lists = lists("cpu")
    for attribute, want in (("torch_16", low), ("torch_fp16", low), ("torch_fp32", torch.float32),
                            ("nn_16", low), ("nn_fp16", low), ("nn_fp32", torch.float32),
                            ("linalg_fp16", low), ("torch_need_autocast_promote", torch.float32)):
        for entry in getattr(lists, attribute, []):
            yield attribute, entry, want


UNREACHABLE = {"_convolution", "convolution", "cudnn_convolution", "cudnn_convolution_transpose",
               "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell",
               "_native_multi_head_attention", "_addmm_activation", "mkldnn_rnn_layer",
               "nll_loss2d", "index_put", "reflection_pad1d",
               "margin_ranking_loss"}  # whose arguments there no public function takes


@pytest.mark.filterwarnings("ignore")
def test_ops_of_torchs_autocast_tests():
    lib, place, compared, wrong = candidate(), "cpu" if ON_CPU else "cuda", 0, []
    for attribute, (name, arguments, *rest), want in listed():
        if name in UNREACHABLE or name == "einsum":
            continue
        owner = lib.nn.functional if attribute.startswith("nn") else lib.linalg if \
            attribute.startswith("linalg") else lib
        name = name.removeprefix("linalg_")
        function = getattr(owner, name, None) or getattr(lib.nn.functional, name)
        options = rest[0] if rest and isinstance(rest[0], dict) else {}
        with lib.autocast(place):
            found = function(*to_candidate(tuple(arguments)), **options)
        compared += 1
        if flat(found)[0].dtype is not getattr(lib, dtype_name_of(want)):
            wrong.append((name, flat(found)[0].dtype, want))
    assert not wrong
    assert compared > 30


def dtype_name_of(dtype):
    return str(dtype).removeprefix("torch.")


def test_binary_cross_entropy_is_refused_on_a_gpu():
    if ON_CPU:
        return
    lib = candidate()
    x = lib.rand(3).to("cuda")
    with lib.autocast("cuda"), pytest.raises(RuntimeError, match="are unsafe to autocast"):
        lib.nn.functional.binary_cross_entropy(x, x)


# --- the state -----------------------------------------------------------------------------------

def state_of(torch):
    return (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"),
            torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda"),
            torch.is_autocast_cache_enabled())


def test_nesting():
    def run(torch):
        x, found = torch.ones(2, 2), [state_of(torch)]
        look = lambda: found.append((state_of(torch), (x @ x).dtype, (x + x).dtype))
        with torch.autocast("cpu"):
            look()
            with torch.autocast("cpu", dtype=torch.float16, cache_enabled=False):
                look()
                with torch.autocast("cpu", enabled=False):
                    look()
                look()
            look()
            with pytest.raises(ZeroDivisionError), torch.autocast("cpu", enabled=False):
                raise ZeroDivisionError
            look()
        return found, state_of(torch), (x @ x).dtype

    if ON_CPU:
        program(run)


def test_setters():
    def run(torch):
        x, found = torch.ones(2, 2), []
        torch.set_autocast_dtype("cpu", torch.float16)
        torch.set_autocast_enabled("cpu", True)
        found.append((state_of(torch), (x @ x).dtype))
        torch.set_autocast_dtype("cpu", torch.bfloat16)
        torch.set_autocast_cache_enabled(False)
        found.append((state_of(torch), (x @ x).dtype))
        torch.set_autocast_cache_enabled(True)
        torch.set_autocast_enabled("cpu", False)
        found += [torch.autocast_increment_nesting(), torch.autocast_increment_nesting(),
                  torch.autocast_decrement_nesting(), torch.autocast_decrement_nesting()]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.set_autocast_cpu_enabled(True)
            found.append((torch.is_autocast_cpu_enabled(), torch.get_autocast_cpu_dtype(),
                          torch.get_autocast_gpu_dtype()))
            torch.set_autocast_cpu_enabled(False)
        return found, state_of(torch), torch.amp.is_autocast_available("cpu"), \
            torch.amp.is_autocast_available("meta"), [type(w).__name__ for w in caught]

    program(run)


@pytest.mark.parametrize("cache", [True, False])
def test_the_casts_of_parameters_are_kept_until_the_end(cache):
    def run(torch):
        weight = torch.ones(2, 2, requires_grad=True)
        x = torch.eye(2)
        with torch.autocast("cpu", cache_enabled=cache):
            first = x @ weight
            with torch.no_grad():
                weight.mul_(3)  # autocast does not look again
            second = x @ weight
        with torch.autocast("cpu"):
            third = x @ weight
        (first + second).float().sum().backward()
        return first, second, third, weight.grad

    if ON_CPU:
        program(run)


def test_gradients_come_back_in_the_dtype_of_the_parameters():
    def run(torch):
        layer = torch.nn.Linear(3, 2)
        with torch.autocast("cpu"):
            loss = torch.nn.functional.mse_loss(layer(torch.randn(4, 3)), torch.zeros(4, 2))
        loss.backward()
        return loss, [parameter.grad for parameter in layer.parameters()]

    if ON_CPU:
        program(run, rtol=1e-2)


def test_in_place_and_out_are_left_alone():
    def run(torch):
        x, out = torch.ones(2, 2), torch.zeros(2, 2)
        with torch.autocast("cpu"):
            torch.mm(x, x, out=out)
            y = x.clone().addmm_(x, x)
        return out, y

    if ON_CPU:
        program(run)


def test_functions_of_ones_own():
    def run(torch):
        seen = []

        class Product(torch.autograd.Function):
            @staticmethod
            @torch.amp.custom_fwd(device_type="cpu")
            def forward(ctx, a, b):
                ctx.save_for_backward(a, b)
                return a @ b

            @staticmethod
            @torch.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g):
                seen.append(torch.is_autocast_enabled("cpu"))
                a, b = ctx.saved_tensors
                return g @ b.t(), a.t() @ g

        class Single(torch.autograd.Function):
            @staticmethod
            @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
            def forward(ctx, a, names):
                seen.append((a.dtype, torch.is_autocast_enabled("cpu"), names))
                return a * 2

            @staticmethod
            @torch.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g):
                seen.append(torch.is_autocast_enabled("cpu"))
                return g * 2, None

        a = torch.randn(2, 3, requires_grad=True)
        b = torch.randn(3, 2, requires_grad=True)
        with torch.autocast("cpu"):
            product = Product.apply(a, b)
            doubled = Single.apply(product, "x")
        plain = Single.apply(product, "y")
        (doubled.sum() + plain.float().sum()).backward()
        return seen, product.dtype, doubled.dtype, plain.dtype, a.grad, b.grad

    if ON_CPU:
        program(run, rtol=2e-2)


def test_decorator():
    def run(torch):
        @torch.autocast("cpu", dtype=torch.float16)
        def product(x):
            """Doc."""
            return x @ x

        return product(torch.ones(2, 2)).dtype, product.__name__, product.__doc__

    if ON_CPU:
        program(run)


def test_warnings():
    def run(torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.autocast("cpu", dtype=torch.float32)
            if ON_CPU:
                torch.autocast("cuda")
                torch.cuda.amp.autocast()
                torch.cuda.amp.GradScaler()
                torch.cuda.amp.custom_bwd(lambda ctx, g: g)
        return [(warning.category, str(warning.message)) for warning in caught]

    program(run)


ERRORS = {
    "type": lambda torch: torch.autocast(3),
    "fwd_type": lambda torch: torch.amp.custom_fwd(device_type=3),
    "bwd_type": lambda torch: torch.amp.custom_bwd(device_type=3),
    "callable": lambda torch: torch.autocast("cpu")(3),
    "nowhere": lambda torch: torch.autocast("nowhere"),
    "growth": lambda torch: torch.amp.GradScaler("cpu", growth_factor=1.0),
    "backoff": lambda torch: torch.amp.GradScaler("cpu", backoff_factor=1.0),
    "unscale_first": lambda torch: scaler(torch)[0].unscale_(scaler(torch)[2]),
    "step_first": lambda torch: scaler(torch)[0].step(scaler(torch)[2]),
    "update_first": lambda torch: scaler(torch)[0].update(),
    "outputs": lambda torch: scaler(torch)[0].scale(3),
    "closure": lambda torch: scaler(torch)[0].step(scaler(torch)[2], closure=lambda: 1),
    "unscale_twice": lambda torch: after_backward(torch, lambda s, o: [
        s.unscale_(o), s.unscale_(o)]),
    "step_twice": lambda torch: after_backward(torch, lambda s, o: [s.step(o), s.step(o)]),
    "unscale_late": lambda torch: after_backward(torch, lambda s, o: [s.step(o), s.unscale_(o)]),
    "no_checks": lambda torch: after_backward(torch, lambda s, o: s.update()),
    "no_gradients": lambda torch: after_backward(torch, lambda s, o: [o.zero_grad(), s.step(o)]),
    "new_scale": lambda torch: after_backward(torch, lambda s, o: s.update(torch.ones(2))),
    "new_scale_graph": lambda torch: after_backward(
        torch, lambda s, o: s.update(torch.ones(1, requires_grad=True))),
    "half": lambda torch: after_backward(torch, lambda s, o: s.step(o), torch.float16),
    "pickled": lambda torch: after_backward(torch, lambda s, o: [s.step(o), pickle.dumps(s)]),
    "empty": lambda torch: scaler(torch)[0].load_state_dict({}),
}


def scaler(torch, dtype=None, optimizer="SGD", **options):
    parameter = torch.ones(3, dtype=dtype, requires_grad=True)
    return (torch.amp.GradScaler("cpu", **options), parameter,
            getattr(torch.optim, optimizer)([parameter], lr=0.1))


def after_backward(torch, fn, dtype=None):
    scale, parameter, optimizer = scaler(torch, dtype, init_scale=4.0)
    scale.scale((parameter * 2).sum()).backward()
    fn(scale, optimizer)


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], ERRORS[name])


# --- GradScaler ----------------------------------------------------------------------------------

@pytest.mark.parametrize("optimizer", [("SGD", {}), ("Adam", {}), ("Adam", {"fused": True}),
                                       ("SGD", {"fused": True, "momentum": 0.9}),
                                       ("Adagrad", {"fused": True})], ids=str)
@pytest.mark.parametrize("unscaled_first", [False, True])
def test_scaler(optimizer, unscaled_first):
    """A run with overflows: the scale grows, shrinks, and steps are left out."""
    def run(torch, device):
        torch.manual_seed(1)
        parameters = [torch.randn(4).to(device).requires_grad_() for _ in range(2)]
        name, options = optimizer
        opt = getattr(torch.optim, name)(parameters, lr=0.1, **options)
        scale = torch.amp.GradScaler(device, init_scale=8.0, growth_interval=2,
                                     growth_factor=3.0, backoff_factor=0.25)
        found = [scale.is_enabled(), scale.get_scale(), scale.state_dict()]
        for step in range(9):
            opt.zero_grad()
            loss = sum((parameter**2).sum() for parameter in parameters)
            factor = float("inf") if step in (3, 6) else float("nan") if step == 7 else 1.0
            scaled = scale.scale([loss * factor])
            scaled[0].backward()
            if unscaled_first:
                scale.unscale_(opt)
                found.append([parameter.grad.clone() for parameter in parameters])
            result = scale.step(opt)
            scale.update()
            found += [result, scale.get_scale(), scale._get_growth_tracker(),
                      [parameter.detach().clone() for parameter in parameters],
                      [parameter.grad.clone() for parameter in parameters]]
        return found, scale.state_dict(), opt.state_dict()

    program(run)


def test_scaler_with_two_optimisers_and_its_state():
    def run(torch):
        a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
        first, second = torch.optim.SGD([a], lr=0.1), torch.optim.SGD([b], lr=0.1)
        scale = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=1)
        losses = scale.scale((a.sum(), (b * float("inf")).sum()))
        losses[0].backward()
        losses[1].backward()
        scale.step(first)
        scale.step(second)
        scale.update()
        middle = scale.get_scale(), a, b
        scale.update(3.5)
        states = [scale.state_dict()]
        scale.update(torch.tensor(7.0))
        scale.set_growth_factor(5.0)
        scale.set_backoff_factor(0.1)
        scale.set_growth_interval(9)
        states += [scale.state_dict(), (scale.get_growth_factor(), scale.get_backoff_factor(),
                                        scale.get_growth_interval())]
        other = torch.amp.GradScaler("cpu")
        other.load_state_dict(copy.deepcopy(scale.state_dict()))
        again = pickle.loads(pickle.dumps(scale))
        off = torch.amp.GradScaler("cpu", enabled=False)
        off.load_state_dict({})
        return (middle, states, other.state_dict(), other.scale(a.sum()), again.state_dict(),
                again.scale(a.sum()), off.state_dict(), off.get_scale(), off.scale(a).tolist(),
                off.step(first), off.update(), off.is_enabled(), list(scale.scale(iter([a]))))

    program(run)


def test_names():
    lib = candidate()
    assert lib.GradScaler is lib.amp.GradScaler
    assert issubclass(lib.cuda.amp.GradScaler, lib.amp.GradScaler)
    assert set(lib.amp.__all__) == set(torch.amp.__all__)
    assert set(lib.cuda.amp.__all__) == set(torch.cuda.amp.__all__)
