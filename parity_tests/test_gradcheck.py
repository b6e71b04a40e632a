"""autograd.gradcheck: right functions pass and wrong ones fail, as in torch."""

from __future__ import annotations

import warnings

import pytest

from parity_tests.harness import candidate, check_error, program

pytestmark = pytest.mark.xdist_group("gradcheck")


def point(lib, complex=False):
    lib.manual_seed(0)
    x, y = lib.randn(2, 3, dtype=lib.float64), lib.randn(3, dtype=lib.float64)
    if complex:
        x, y = lib.complex(x, x.flip(0)), lib.complex(y, y.flip(0) + 1)
    return x.requires_grad_(), y.requires_grad_()


RIGHT = {
    "product": lambda lib, x, y: x * y,
    "two outputs": lambda lib, x, y: (x.sum(0) * y, (x * y).sin()),
    "an integer output": lambda lib, x, y: (x * y, (x > 0).long()),
    "a constant output": lambda lib, x, y: (x * y, lib.ones(2, dtype=x.dtype)),
    "one input does not matter": lambda lib, x, y: x * x,
    "products": lambda lib, x, y: (x @ x.mT).matmul(x) * y.exp(),
    "views": lambda lib, x, y: x[0].view(3, 1).expand(3, 3) * y,
}
COMPLEX = {
    "product": lambda lib, x, y: x * y,
    "absolute": lambda lib, x, y: (x * y).abs(),
    "parts": lambda lib, x, y: x.real * y.imag,
    "conjugate": lambda lib, x, y: (x.conj() * y, x.exp()),
    "a real one, too": lambda lib, x, y: (x * y, x.abs()),
}
OPTIONS = [{}, {"fast_mode": True}, {"check_forward_ad": True},
           {"check_forward_ad": True, "fast_mode": True},
           {"check_forward_ad": True, "check_backward_ad": False}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", RIGHT)
def test_right(name, options):
    def run(lib):
        return lib.autograd.gradcheck(lambda x, y: RIGHT[name](lib, x, y), point(lib), **options)

    program(run)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", COMPLEX)
def test_right_complex(name, options):
    def run(lib):
        return lib.autograd.gradcheck(
            lambda x, y: COMPLEX[name](lib, x, y), point(lib, True), **options)

    program(run)


@pytest.mark.parametrize("options", [
    {}, {"fast_mode": True}, {"gen_non_contig_grad_outputs": True}, {"check_fwd_over_rev": True},
    {"check_fwd_over_rev": True, "check_rev_over_rev": False, "check_undefined_grad": False}],
    ids=str)
@pytest.mark.parametrize("complex", [False, True])
def test_right_gradients(complex, options):
    def run(lib):
        return [lib.autograd.gradgradcheck(
            function, point(lib, complex), **options)
            for function in (lambda x, y: (x * y).sin(), lambda x, y: (x * x * y, y.exp()))]

    program(run)


def wrong(lib, name, jvp=None):
    """Functions whose backward or jvp is not that of forward."""
    class Wrong(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            if name == "two outputs":
                return x * x, x * 3
            return x * x

        @staticmethod
        def backward(ctx, g, *rest):
            (x,) = ctx.saved_tensors
            right = 2 * x.conj() * g
            if name == "random":
                right = right * (1 + 1e-5 * lib.rand(()).to(x.dtype))
            return {"factor": right / 2, "constant": right + 1e-2, "transposed": right.conj() * 1j,
                    "second output": right, "two outputs": right, "grad": g * 0,
                    "first": 2 * x.detach() * g}.get(name, right)

        @staticmethod
        def jvp(ctx, t):
            (x,) = ctx.saved_tensors
            return {"tangent": x * t}.get(name, 2 * x * t)

    return Wrong.apply


WRONG = {
    "factor": "Jacobian mismatch for output 0 with respect to input 0,",
    "constant": "Jacobian mismatch for output 0 with respect to input 0,",
    "grad": "Jacobian mismatch for output 0 with respect to input 0,",
    "two outputs": "Jacobian mismatch for output 1 with respect to input 0,",
    "random": "Backward is not reentrant",
    "tangent": "Jacobian computed with forward mode mismatch for output 0 with respect to input 0,",
}


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("name", WRONG)
def test_wrong(name, fast_mode):
    options = {"fast_mode": fast_mode, "check_forward_ad": name == "tangent"}

    def run(lib, _):
        lib.autograd.gradcheck(wrong(lib, name), point(lib)[0], **options)

    check_error([()], run, match=WRONG[name])
    lib = candidate()
    with pytest.raises(lib.autograd.gradcheck.__globals__["GradcheckError"]):
        run(lib, None)
    assert lib.autograd.gradcheck(
        wrong(lib, name), point(lib)[0], raise_exception=False, **options) is False


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("name", ["factor", "transposed"])
def test_wrong_complex(name, fast_mode):
    def run(lib, _):
        lib.autograd.gradcheck(wrong(lib, name), point(lib, True)[0], fast_mode=fast_mode)

    check_error([()], run, match="While considering the (real|imaginary) part of complex outputs "
                "only, Jacobian mismatch for output 0 with respect to input 0,")


def test_wrong_second_gradient():
    def run(lib, _):
        lib.autograd.gradgradcheck(wrong(lib, "first"), point(lib)[0])

    check_error([()], run, match="Jacobian mismatch for output 0 with respect to input 0,")


def test_a_gradient_of_nothing():
    def run(lib, _):
        lib.autograd.gradcheck(lambda x: x.detach() * 2, point(lib)[0])

    check_error([()], run, match="Numerical gradient for function expected to be zero")


def test_not_multiplied_by_the_gradient():
    def run(lib, _):
        class Wrong(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g * 2 + 1e-6

        lib.autograd.gradcheck(Wrong.apply, point(lib)[0])

    check_error([()], run, match="backward not multiplied by grad_output")


ERRORS = {
    "no gradient": lambda lib, x: lib.autograd.gradcheck(lambda x: x, x.detach()),
    "strides": lambda lib, x: lib.autograd.gradcheck(lambda x: x, x.expand(2, 2)),
    "neither": lambda lib, x: lib.autograd.gradcheck(lambda x: x, x, check_backward_ad=False),
    "batched": lambda lib, x: lib.autograd.gradcheck(
        lambda x: x, x, check_backward_ad=False, check_forward_ad=True, check_batched_grad=True),
    "batched forward": lambda lib, x: lib.autograd.gradcheck(
        lambda x: x, x, check_batched_forward_grad=True),
    "neither of the second": lambda lib, x: lib.autograd.gradgradcheck(
        lambda x: x, x, check_rev_over_rev=False),
    "undefined": lambda lib, x: lib.autograd.gradgradcheck(
        lambda x: x, x, check_rev_over_rev=False, check_fwd_over_rev=True),
    "batched second": lambda lib, x: lib.autograd.gradgradcheck(
        lambda x: x, x, check_rev_over_rev=False, check_fwd_over_rev=True,
        check_undefined_grad=False, check_batched_grad=True),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    check_error([(2,)], ERRORS[name], grad=True, dtype="float64")


def test_float32_is_warned_of():
    def run(lib):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            lib.autograd.gradcheck(lambda x: x * 2, lib.ones(2, requires_grad=True), atol=1)
        return [str(each.message) for each in caught if "Input #" in str(each.message)]

    program(run)


def test_batched_gradients_are_refused():
    lib = candidate()
    with pytest.raises(NotImplementedError, match="needs vmap"):
        lib.autograd.gradcheck(lambda x: x, point(lib)[0], check_batched_grad=True)


def test_the_inputs_are_left_as_they_were():
    def run(lib):
        x, y = point(lib)
        lib.autograd.gradcheck(lambda x, y: x * y, (x, y), check_forward_ad=True)
        return x.detach(), y.detach(), x.grad is None

    program(run)
