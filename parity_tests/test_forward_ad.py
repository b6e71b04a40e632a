"""Forward mode: tangents of compositions, views and in-place writes, of both orders, and errors."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from parity_tests.compare import to_numpy
from parity_tests.harness import candidate, check, check_error, program

pytestmark = pytest.mark.xdist_group("forward_ad")


def jvp(lib, function, *pairs):
    """Value and tangent of `function` for the given (primal, tangent) pairs."""
    fw = lib.autograd.forward_ad
    with fw.dual_level():
        return tuple(fw.unpack_dual(function(*[fw.make_dual(x, t) for x, t in pairs])))


# --- values, and gradients of them (reverse over forward) -----------------------------------------

FUNCTIONS = {
    "mul": lambda lib, x: x * x * 3,
    "products": lambda lib, x: x.cumprod(1) * x.sigmoid().prod(0),
    "matmul": lambda lib, x: x @ x.t() / 2,
    "reused": lambda lib, x: (x.exp() * x).sum(0) + x.tanh().mean(),
    "views": lambda lib, x: x[1:].t().reshape(-1) * x.reshape(-1)[:8],
    "norm": lambda lib, x: x.std(1) + x.norm(),
    "select": lambda lib, x: x.max(1)[0] + lib.where(x > 0, x.sin(), x.cos()).sum(1),
    "gelu": lambda lib, x: lib.nn.functional.gelu(x).cumsum(1),
    "cat": lambda lib, x: lib.cat([x, x.sigmoid(), lib.ones_like(x)], 0),
    "half": lambda lib, x: x.float().double().log1p() if x.min() > 0 else x.float().double() * x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tangent(name):
    function = FUNCTIONS[name]
    check([(3, 4), (3, 4)], lambda lib, x, t: jvp(lib, lambda x: function(lib, x), (x, t)),
          dtypes=("float64",))


def test_two_inputs_and_a_constant():
    check([(3, 4), (4,), (3, 4), (4,)], lambda lib, x, y, tx, ty: jvp(
        lib, lambda x, y: (x * y + y.exp() - 2) / (1 + y * y), (x, tx), (y, ty)))
    check([(3, 4), (4,), (3, 4)], lambda lib, x, y, t: jvp(lib, lambda x: x * y - y, (x, t)))


@pytest.mark.parametrize("function", [
    lambda x: x * x, lambda x: x.abs() * x, lambda x: x.real * x, lambda x: x.conj() @ x,
    lambda x: x.angle() + x.imag, lambda x: (x * x.exp()).abs().sum()])
def test_complex(function):
    check([(3, 3), (3, 3)], lambda lib, x, t: jvp(lib, function, (x, t)), dtypes=("complex128",))


# --- tangents and gradient mode -------------------------------------------------------------------

def test_no_grad_does_not_stop_tangents():
    def run(lib):
        x, t = lib.tensor([1.0, 2.0]), lib.tensor([0.5, -1.0])
        with lib.no_grad():
            inside = jvp(lib, lambda x: (x * x).exp(), (x, t))
            flag = lib.is_grad_enabled()
        with lib.autograd.forward_ad.dual_level():
            x.requires_grad_()
            dual = lib.autograd.forward_ad.make_dual(x, t)
            with lib.no_grad():
                y = dual * x
                flags = [y.requires_grad, lib.is_grad_enabled()]
            z = dual * x
            return inside, flag, flags, z.requires_grad, lib.autograd.forward_ad.unpack_dual(y)[1]

    program(run)


def test_inference_mode_and_detach_do():
    def run(lib):
        fw = lib.autograd.forward_ad
        with fw.dual_level():
            x = fw.make_dual(lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0]))
            with lib.inference_mode():
                y = x * 2
            found = [y, x.detach(), x.detach() * x, x > 1, lib.zeros_like(x), x.sign()]
            return [fw.unpack_dual(each)[1] is None for each in found]

    program(run)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", ["exp", "tanh", "softmax", "matmul", "prod", "layer_norm",
                                  "batch_norm"])
def test_forward_over_reverse(name, create_graph):
    """The tangent of a gradient: a Hessian-vector product."""
    functions = {
        "exp": lambda lib, x: x.exp(), "tanh": lambda lib, x: x.tanh() * x,
        "softmax": lambda lib, x: x.softmax(1)[0], "matmul": lambda lib, x: (x @ x.t()) ** 2,
        "prod": lambda lib, x: x.prod(1),
        "layer_norm": lambda lib, x: lib.nn.functional.layer_norm(x, (4,)) ** 3,
        "batch_norm": lambda lib, x: lib.nn.functional.batch_norm(
            x, None, None, training=True) ** 3}

    def run(lib):
        rng = np.random.default_rng(0)
        x = lib.tensor(rng.standard_normal((3, 4)), requires_grad=True)
        t = lib.tensor(rng.standard_normal((3, 4)))
        fw = lib.autograd.forward_ad
        with fw.dual_level():
            y = functions[name](lib, fw.make_dual(x, t)).sum()
            (g,) = lib.autograd.grad(y, x, create_graph=create_graph)
            return tuple(fw.unpack_dual(g))

    program(run)


# --- views and writes -----------------------------------------------------------------------------

def test_writes_through_views():
    def run(lib):
        fw = lib.autograd.forward_ad
        unpack = lambda *tensors: [each.clone() for tensor in tensors
                                   for each in fw.unpack_dual(tensor) if each is not None]
        found = []
        with fw.dual_level():
            one = fw.make_dual(lib.ones(2), lib.ones(2))
            base = lib.zeros(4)
            view, other = base[:2], base[1:3]
            view.add_(one * 3)
            found += unpack(base, view, other)
            other.mul_(2)
            found += unpack(base, view, other, base.view(2, 2)[1])
            base[3] = one.sum()
            base.exp_()
            found += unpack(base, view, other)
            view.zero_()
            found += unpack(base, view, other)
            base.copy_(lib.arange(4.0))
            found += unpack(base, view)
            base.t_()
            base.unsqueeze_(0)
            base.sub_(one.repeat(2))
            found += unpack(base, view, base.select(0, 0))
        return found

    program(run)


def test_the_given_tangent_is_written_where_it_is_laid_out_alike():
    def run(lib):
        fw = lib.autograd.forward_ad
        with fw.dual_level():
            tangent, turned = lib.ones(2, 3), lib.ones(3, 2).t()
            found = []
            for each in (tangent, turned):
                dual = fw.make_dual(lib.ones(2, 3), each)
                found.append(fw.unpack_dual(dual).tangent is each)
                dual.mul_(3)
                found += [each.clone(), *fw.unpack_dual(dual)]
                found.append(fw.unpack_dual(dual).tangent.stride())
            return found

    program(run)


def test_a_write_with_a_history():
    check([(3, 4), (3, 4), (4,)], lambda lib, x, t, y: jvp(
        lib, lambda x: (x * 1).mul_(y).add_(x.exp()).tanh_(), (x, t)), dtypes=("float64",))


# --- Function -------------------------------------------------------------------------------------

def square(lib):
    class Square(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, power):
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x ** power

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * x, None

        @staticmethod
        def jvp(ctx, t, _):
            (x,) = ctx.saved_tensors
            return 2 * t * x

    return Square


def test_function():
    check([(3,), (3,)], lambda lib, x, t: jvp(
        lib, lambda x: square(lib).apply(x, 2) * x, (x, t)), dtypes=("float64",), leaks=False)


@pytest.mark.parametrize("wrong", [
    None, lambda ctx, t: (t, t), lambda ctx, t: 3, lambda ctx, t: t[:1]])
def test_function_errors(wrong):
    def run(lib, x):
        class Wrong(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

        if wrong:
            Wrong.jvp = staticmethod(wrong)
        return jvp(lib, Wrong.apply, (x, x))

    check_error([(2, 3)], run)


# --- the level ------------------------------------------------------------------------------------

ERRORS = {
    "no level": lambda fw, lib, x: fw.make_dual(x, x),
    "exit without a level": lambda fw, lib, x: fw.exit_dual_level(),
    "exit of another": lambda fw, lib, x: fw.exit_dual_level(level=3),
}
ERRORS_INSIDE = {
    "nested": lambda fw, lib, x: fw.enter_dual_level(),
    "shape": lambda fw, lib, x: fw.make_dual(x, x[0]),
    "integer primal": lambda fw, lib, x: fw.make_dual(x.long(), x),
    "integer tangent": lambda fw, lib, x: fw.make_dual(x, x.long()),
    "dual primal": lambda fw, lib, x: fw.make_dual(fw.make_dual(x, x), x),
    "dual tangent": lambda fw, lib, x: fw.make_dual(x, fw.make_dual(x, x)),
    "another level": lambda fw, lib, x: fw.make_dual(x, x, level=5),
    "unpack": lambda fw, lib, x: fw.unpack_dual(4),
    "out": lambda fw, lib, x: lib.add(fw.make_dual(x, x), 1, out=x.clone()),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    check_error([(2, 3)], lambda lib, x: ERRORS[name](lib.autograd.forward_ad, lib, x))


@pytest.mark.parametrize("name", ERRORS_INSIDE)
def test_errors_inside(name):
    def run(lib, x):
        with lib.autograd.forward_ad.dual_level():
            ERRORS_INSIDE[name](lib.autograd.forward_ad, lib, x)

    check_error([(2, 3)], run)


def test_without_tangents():
    def run(lib):
        fw, x = lib.autograd.forward_ad, lib.ones(2)
        outside = fw.unpack_dual(x)
        level = fw.enter_dual_level()
        inside = fw.unpack_dual(x)
        fw.exit_dual_level(level=level)
        return level, tuple(outside), tuple(inside), outside._fields, type(outside).__name__

    program(run)


def test_a_level_is_gone_when_closed():
    fw, lib = candidate().autograd.forward_ad, candidate()
    gc.disable()
    try:
        with fw.dual_level():
            x = fw.make_dual(lib.ones(2), lib.ones(2))
            y = x * x
            tangent = weakref.ref(fw.unpack_dual(y).tangent)
            assert tangent() is not None
        assert tangent() is None
    finally:
        gc.enable()
    with fw.dual_level():
        assert fw.unpack_dual(x).tangent is None and fw.unpack_dual(x * y).tangent is None
    assert not x.requires_grad and (x * y).grad_fn is None


def test_prints_the_tangent():
    def run(lib):
        fw = lib.autograd.forward_ad
        with fw.dual_level():
            x = fw.make_dual(lib.ones(2, device="cpu"), lib.zeros(2, device="cpu"))
            return repr(x), repr((x * 2).view(2, 1)), repr(lib.ones(1, device="cpu"))

    program(run)


# --- where torch's own derivatives are wrong or missing -------------------------------------------

@pytest.mark.parametrize("name", ["triangular_solve", "logcumsumexp", "softmax", "layer_norm"])
def test_equals_the_quotient_of_differences(name):
    """The tangent, and the gradient of the tangent. torch's tangents of the first two are wrong, as
    is its gradient of layer_norm's; that of softmax's raises an error."""
    lib, rng = candidate(), np.random.default_rng(0)
    functions = {"triangular_solve": lambda b, A: lib.triangular_solve(b, A)[0],
                 "logcumsumexp": lambda a, b: lib.logcumsumexp(a * b, 1),
                 "softmax": lambda a, b: lib.softmax(a * b, 1),
                 "layer_norm": lambda a, b: lib.nn.functional.layer_norm(a, (4,), b[0])}
    function = functions[name]
    values, directions, weights = [
        [rng.standard_normal((4, 4)) + 2 * np.eye(4) for _ in range(2)] for _ in range(3)]

    def run(shift):
        x, y = [lib.tensor(v + shift * w, requires_grad=True)
                for v, w in zip(values, weights, strict=True)]
        value, tangent = jvp(lib, function, (x, lib.tensor(directions[0])),
                             (y, lib.tensor(directions[1])))
        return x, y, value, tangent

    x, y, _, tangent = run(0)
    gradients = lib.autograd.grad((tangent * tangent).sum(), (x, y))
    along = sum((to_numpy(g) * w).sum() for g, w in zip(gradients, weights, strict=True))
    step = 1e-6
    squares = [(to_numpy(run(shift)[3]) ** 2).sum() for shift in (step, -step)]
    np.testing.assert_allclose(along, (squares[0] - squares[1]) / (2 * step), rtol=1e-6)

    after, before = [to_numpy(function(*[lib.tensor(v + s * d) for v, d in
                                         zip(values, directions, strict=True)]))
                     for s in (step, -step)]
    np.testing.assert_allclose(to_numpy(tangent), (after - before) / (2 * step),
                               rtol=1e-7, atol=1e-8)
