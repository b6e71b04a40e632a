"""The names in torch's namespace: none that minigrad means to have is missing, and those that are
only another name, an in-place form or a question about a tensor do what torch's do."""

from __future__ import annotations

import operator
import re

import pytest
import torch

from parity_tests.harness import candidate, check, check_error, program

# What minigrad leaves out, by pattern and reason.
LEFT_OUT = {
    "sparse tensors": "sparse|dense_dim|coalesce|indices|crow|ccol|hspmm|hsmm|spmm|smm|dsmm|"
                      "sspaddmm|saddmm|values|row_indices|col_indices|to_dense|is_coalesced",
    "quantised tensors": "quant|q_|qscheme|int_repr|fbgemm|choose_qparams|fused_moving_avg",
    "libraries of particular devices": "cudnn|miopen|mkldnn|mps|mtia|ipu|xpu|xla|maia|vulkan|"
                                       "record_stream|pin_memory|is_pinned|_elemt|"
                                       "batch_norm_(backward|gather|stats|update)",
    "compilers, scripts and symbols": "sym_|compile|script|import_ir|parse_|while_loop|cond|fork|"
                                      "wait|jit|classproperty|unify_type|merge_type|get_file_path|"
                                      "prepare_multi|thread_safe|vmap|profiler|init_num_threads",
    "removed from torch: they only raise": "eig|symeig|lstsq|solve|matrix_rank|reinforce|resize|"
                                           "resize_as|volatile|new|storage_type|name",
    "memory shared by processes": "is_shared|share_memory_|from_file|is_distributed|module_load|"
                                  "const_data_ptr|hash_tensor|slice_inverse",
    "nested, padded or 16-bit complex": "is_nested|to_padded_tensor|chalf|segment_reduce",
    "settings of torch's own runtime": "set_|get_|is_anomaly|is_autocast|are_determ|is_determ|"
                                       "use_determ|autocast_|clear_autocast|is_warn|is_inference",
    "helpers of torch's own Python code": "assert_int_or_pair|boolean_dispatch|torch_function",
    "float8 and grouped products of particular GPUs": "scaled_mm|grouped_mm",
    "still to come, or elsewhere in the plan": "storage|untyped_storage|is_storage|"
                                               "native_norm|lstm|gru|"
                                               "rnn|empty_permuted|output_nr|grad_dtype|index$",
}
PATTERN = re.compile("|".join(f"({each})" for each in LEFT_OUT.values()))


@pytest.mark.parametrize("path", ["", "Tensor", "linalg", "special", "fft", "nn.functional"])
def test_no_function_is_missing(path):
    theirs, ours = (operator.attrgetter(path)(lib) if path else lib
                    for lib in (torch, candidate()))
    names = [name for name in dir(theirs) if not name.startswith("_")
             and callable(getattr(theirs, name)) and not isinstance(getattr(theirs, name), type)]
    missing = [name for name in names if not hasattr(ours, name)
               and getattr(getattr(theirs, name), "__module__", None) != "typing"]
    assert [name for name in missing if not PATTERN.search(name)] == []


IN_PLACE = [name for name in dir(torch) if name.endswith("_") and not name.startswith("_")
            and hasattr(candidate(), name) and hasattr(torch.Tensor, name)]
WITH_ARGUMENTS = {
    "addmv_": lambda lib, x: lib.addmv_(x[0].clone(), x[:, :3], x[0]),
    "as_strided_": lambda lib, x: lib.as_strided_(x.clone(), (2,), (1,)),
    "clamp_": lambda lib, x: lib.clamp_(x.clone(), 0.2, 0.7),
    "clamp_max_": lambda lib, x: lib.clamp_max_(x.clone(), 0.7),
    "clamp_min_": lambda lib, x: lib.clamp_min_(x.clone(), 0.2),
    "clip_": lambda lib, x: lib.clip_(x.clone(), 0.2, 0.7),
    "fill_": lambda lib, x: lib.fill_(x.clone(), 2.0),
    "ldexp_": lambda lib, x: lib.ldexp_(x.clone(), x),
    "resize_as_": lambda lib, x: lib.resize_as_(x.detach().clone(), x),
    "threshold_": lambda lib, x: lib.threshold_(x.clone(), 0.5, 2.0),
    "xlogy_": lambda lib, x: lib.xlogy_(x.clone(), x),
    "index_put_": lambda lib, x: lib.index_put_(x.clone(), (x.long() * 0,), x[0, 0]),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_function(name):
    if name in ("gcd_", "lcm_"):
        program(lambda lib: getattr(lib, name)(lib.tensor([4, 6]), lib.tensor([6, 9])))
    elif name.endswith("h_") and name[:2] in ("as", "ac", "at", "ar"):  # asinh_ and its like
        domain = (1.1, 2) if "cosh" in name else (-0.9, 0.9)
        check([(3, 3)], lambda lib, x: getattr(lib, name)(x.clone()), grad=False, domain=domain)
        check_error([(3, 3)], lambda lib, x: getattr(lib, name)(x.clone()).sum().backward(),
                    grad=True)
    else:
        fn = WITH_ARGUMENTS.get(name, lambda lib, x: getattr(lib, name)(x.clone()))
        check([(3, 3)], fn, domain=(0.1, 0.9))


@pytest.mark.parametrize("name", ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_",
                                  "selu_"])
def test_activation_in_place(name):
    check([(3, 4)], lambda lib, x: getattr(lib.nn.functional, name)(x.clone()))


@pytest.mark.parametrize("method", ["arccos", "arcsin", "arctan", "arctanh", "arcsinh"])
def test_other_names_of_the_inverse_functions(method):
    check([(4,)], lambda lib, x: getattr(lib, method)(x), domain=(-0.9, 0.9))
    check([(4,)], lambda x: getattr(x.clone(), f"{method}_")(), domain=(-0.9, 0.9), grad=False)


@pytest.mark.parametrize("method", ["greater_", "greater_equal_", "less_", "less_equal_",
                                    "not_equal_"])
def test_comparison_in_place(method):
    program(lambda lib: getattr(lib.tensor([1.0, 2.0, 3.0]), method)(2))


def test_long_names_of_arithmetic():
    check([(3,), (3,)], lambda lib, x, y: lib.multiply(lib.subtract(x, y), lib.negative(y)))
    check([(3,), (3,)], lambda lib, x, y: lib.divide(lib.arctan2(x, y), y), domain=(1, 2))


def test_operators_of_shifts_and_remainders():
    def shifts(lib):
        x = lib.tensor([1, 2, 5])
        y = x.clone()
        y <<= 2
        z = y
        z >>= 1
        w = lib.tensor([7.5, -3.0])
        v = w
        v %= 2
        w //= 1
        return [2 << x, 64 >> x, y, z, w, v is w, +w, list(reversed(x)), reversed(x)]

    program(shifts)


# --- on the diagonal, by a Python function --------------------------------------------------------

@pytest.mark.parametrize("shape", [(3, 3), (7, 3), (3, 7), (8, 3), (4, 3), (9, 2), (3, 3, 3)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal(shape, wrap):
    program(lambda lib: lib.zeros(shape).fill_diagonal_(5.0, wrap))
    program(lambda lib: lib.zeros(shape).transpose(0, 1).fill_diagonal_(5, wrap=wrap))
    check([shape], lambda x: x.clone().fill_diagonal_(2.0, wrap), noncontiguous=False)


def test_fill_diagonal_refuses():
    check_error([(3,)], lambda x: x.fill_diagonal_(1.0))
    check_error([(3, 3, 2)], lambda x: x.fill_diagonal_(1.0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool", "bfloat16", "complex64"])
def test_apply_and_map(dtype, request):
    if request.config.getoption("--device") != "cpu":
        x = candidate().ones(2, device="cuda")
        with pytest.raises(TypeError, match="only implemented on CPU tensors"):
            x.apply_(lambda v: v)
        return

    def run(lib):
        x = lib.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(lib, dtype))
        one = lib.tensor([1, 0, 1]).to(getattr(lib, dtype))
        return [x.clone().apply_(lambda v: v * 2), x.t().clone().apply_(lambda v: 1 - v),
                x.clone().map_(one, lambda a, b: a * b),
                x.clone().map2_(x, one, lambda a, b, c: a * b + c)]

    program(run)


def test_apply_and_map_refuse(request):
    check_error([(2,)], lambda x: x.apply_(lambda v: v), grad=True)
    check_error([(2,)], lambda x: x.map_(3, lambda a, b: a))
    if request.config.getoption("--device") == "cpu":
        check_error([(2,), (3,)], lambda x, y: x.map_(y, lambda a, b: a))
    check_error([(2,)], lambda x: x.map_(x.double(), lambda a, b: a))


# --- questions ------------------------------------------------------------------------------------

def test_questions():
    def ask(lib):
        x = lib.arange(6.0).reshape(2, 3)
        return [x.is_signed(), x.byte().is_signed(), lib.is_signed(x.bool()), x.ndimension(),
                x.is_same_size(x), lib.is_same_size(x, x.t()), x.is_set_to(x), x.is_set_to(x[:]),
                x.is_set_to(x.t()), x.is_set_to(x.clone()), lib.tensor([0.0]).is_nonzero(),
                x.is_cpu, x.get_device(), lib.get_device(x), lib.typename(x), lib.typename(3),
                lib.typename(int)]

    program(ask)


def test_dim_order():
    def ask(lib):
        x = lib.ones(2, 3, 4, 5)
        tensors = [x, x.transpose(1, 2), x.contiguous(memory_format=lib.channels_last), x[:, :1],
                   x.clone(memory_format=lib.channels_last), lib.tensor(1.0),
                   lib.ones(2).expand(3, 2), lib.ones(2, 1).expand(2, 3), lib.ones(0, 2)]
        return [[each.dim_order() for each in tensors], x.dim_order(ambiguity_check=True),
                lib.ones(1, 2, 3, 4).dim_order(
                    ambiguity_check=[lib.contiguous_format, lib.channels_last]),
                [each.is_contiguous(memory_format=lib.channels_last) for each in tensors]]

    program(ask)
    check_error([(1, 2, 1)], lambda x: x.dim_order(ambiguity_check=True))
    check_error([(1, 2, 1)], lambda x: x.dim_order(ambiguity_check="x"))
    check_error([(1, 2, 1)], lambda lib, x: x.contiguous(memory_format=lib.channels_last))


def test_as_subclass():
    def history(lib):
        class Named(lib.Tensor):
            pass

        x = lib.ones(2, requires_grad=True)
        y = (x * 3).as_subclass(Named)
        (y * y).sum().backward()
        return [type(y).__name__, y.grad_fn.name(), x.grad]

    program(history)
    check_error([(2,)], lambda x: x.as_subclass(int))


# --- norms ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("dim", [0, 1, 2, -1])
@pytest.mark.parametrize("pow", [1, 2, 3])
def test_norm_except_dim(dim, pow):
    check([(3, 4, 2)], lambda lib, v: lib.norm_except_dim(v, pow, dim), same_graph=True)


@pytest.mark.filterwarnings("ignore:at::")
def test_norms_of_old():
    check([(3, 4)], lambda lib, x: lib.frobenius_norm(x, [0, 1]), same_graph=True)
    check([(3, 4)], lambda lib, x: lib.frobenius_norm(x, 1, keepdim=True), same_graph=True)
    check([(3, 4)], lambda lib, x: lib.nuclear_norm(x))
    check([(2, 3, 4)], lambda lib, x: lib.nuclear_norm(x, (0, 2), True))
    check_error([(2, 2, 2)], lambda lib, x: lib.frobenius_norm(x, [0, 1, 2]))


# --- torch.f where it is not torch.nn.functional.f ------------------------------------------------

@pytest.mark.parametrize("reduction", [0, 1, 2])
def test_losses_by_number(reduction):
    check([(3, 4), (3, 4)], lambda lib, x, y: lib.binary_cross_entropy_with_logits(
        x, y.sigmoid(), None, None, reduction))
    check([(3, 4), (3, 4)], lambda lib, x, y: lib.kl_div(
        x.log_softmax(1), y.softmax(1), reduction))
    check([(3, 4), (3, 4)], lambda lib, x, y: lib.poisson_nll_loss(
        x, y, True, False, 1e-8, reduction))
    check([(3,), (3,)], lambda lib, x, y: lib.margin_ranking_loss(
        x, y, lib.ones_like(x), 0.1, reduction))
    check([(3,)], lambda lib, x: lib.hinge_embedding_loss(
        x, -lib.ones_like(x), 1.0, reduction))
    check([(3, 4), (3, 4)], lambda lib, x, y: lib.cosine_embedding_loss(
        x, y, lib.ones_like(x[:, 0]), 0.0, reduction))
    check([(3, 4), (3, 4), (3, 4)], lambda lib, x, y, z: lib.triplet_margin_loss(
        x, y, z, 1.0, 2, 1e-6, False, reduction))


@pytest.mark.parametrize("name", ["dropout", "feature_dropout", "alpha_dropout",
                                  "feature_alpha_dropout"])
@pytest.mark.parametrize("train", [False, True])
def test_dropout_with_its_train(name, train):
    check([(3, 4, 2)], lambda lib, x: getattr(lib, name)(x, 0.5, train), random=True)
    check([(3, 4, 2)], lambda lib, x: getattr(lib, f"{name}_")(x.clone(), 0.5, train), random=True)


def test_norms_and_rows():
    check([(4, 3, 5), (3,), (3,)], lambda lib, x, w, b: lib.batch_norm(
        x, w, b, None, None, True, 0.1, 1e-5, False))
    check([(4, 3, 5), (3,), (3,)], lambda lib, x, w, b: lib.instance_norm(
        x, w, b, None, None, True, 0.1, 1e-5, False))
    check([(4, 6), (6,), (6,)], lambda lib, x, w, b: lib.group_norm(x, 2, w, b, 1e-5, True))
    check([(5, 3)], lambda lib, w: lib.embedding(w, (w[:2].detach() * 0).long(), 1))
    check([(3, 4)], lambda lib, x: lib.softmax(x, 1) * lib.log_softmax(x, 0))
    program(lambda lib: lib.embedding_renorm_(lib.ones(3, 2), lib.tensor([1, 2]), 1.0, 2.0))
