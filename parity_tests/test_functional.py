"""autograd.functional: values, nesting, histories, errors of Jacobians, Hessians, products."""

from __future__ import annotations

import itertools

import pytest

from parity_tests.harness import check, check_error, program

pytestmark = pytest.mark.xdist_group("functional")

ONE = {
    "elementwise": lambda x: x.exp() * x,
    "matrix": lambda x: x @ x.t(),
    "scalar": lambda x: (x * x).sum(),
    "constant part": lambda x: x.sum() * 2 + 1,
    "linear": lambda x: x * 3,
    "two outputs": lambda x: (x.sum(0), x * x),
    "independent": lambda x: (x * x, x.detach() * 2),
}
SCALARS = {
    "cubic": lambda x, y: (x ** 3 * y).sum(),
    "trigonometric": lambda x, y: (x.sin() * y.cos()).sum() + y.exp().sum(),
    "one input only": lambda x, y: (x ** 3).sum(),
    "linear in one": lambda x, y: (x ** 2).sum() + y.sum(),
}


def numbers(lib, requires_grad=False):
    lib.manual_seed(0)
    return [lib.randn(*shape, dtype=lib.float64).requires_grad_(requires_grad)
            for shape in [(2, 3), (3,), (2, 3), (3,)]]


@pytest.mark.parametrize("options", [
    {}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"},
    {"create_graph": True}], ids=str)
@pytest.mark.parametrize("name", ONE)
def test_jacobian(name, options):
    def run(lib):
        # torch's tangents of linear functions require gradients, of zeros.
        x, y, _, _ = numbers(lib, requires_grad="strategy" not in options)
        functional = lib.autograd.functional
        found = [functional.jacobian(ONE[name], x, **options),
                 functional.jacobian(ONE[name], (x,), **options),
                 functional.jacobian(lambda x, y: x * y.sin(), (x, y), **options),
                 functional.jacobian(lambda x, y: (x * y, y), (x, y), **options)]
        return found

    program(run)


def test_jacobian_with_a_graph():
    check([(2, 3), (3,)], lambda lib, x, y: lib.autograd.functional.jacobian(
        lambda x, y: (x * y).sin().sum(0), (x, y), create_graph=True), dtypes=("float64",),
        leaks=False)


@pytest.mark.parametrize("name", ["vjp", "jvp"])
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("function", [
    lambda x, y: x * y.exp(), lambda x, y: (x.sum(1), y * y), lambda x, y: x.sin()])
def test_products(name, create_graph, function):
    def run(lib):
        x, y, v, w = numbers(lib, requires_grad=True)
        point = (x, y)
        if name == "vjp":
            outputs = function(x, y)
            vector = tuple(each.detach() + 1 for each in outputs) if isinstance(
                outputs, tuple) else outputs.detach() + 1
        else:
            vector = v, w
        return getattr(lib.autograd.functional, name)(
            function, point, vector, create_graph=create_graph)

    program(run)


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("product", ["vhp", "hvp", "vjp"])
def test_products_of_scalars(product, name, create_graph):
    def run(lib):
        x, y, v, w = numbers(lib, requires_grad=True)
        vector = None if product == "vjp" else (v, w)
        return getattr(lib.autograd.functional, product)(
            SCALARS[name], (x, y), vector, create_graph=create_graph)

    program(run)


def test_products_with_a_graph():
    for name in ("vjp", "jvp", "vhp", "hvp"):
        check([(2, 3), (2, 3)], lambda lib, x, v, name=name: getattr(
            lib.autograd.functional, name)(
                (lambda x: (x ** 3).sum()) if "h" in name else (lambda x: x ** 3),
                x, v, create_graph=True), dtypes=("float64",), leaks=False)


@pytest.mark.parametrize("options", [
    {}, {"create_graph": True}, {"vectorize": True},
    {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}], ids=str)
@pytest.mark.parametrize("name", SCALARS)
def test_hessian(name, options):
    def run(lib):
        x, y, _, _ = numbers(lib)
        function = SCALARS[name]
        return [lib.autograd.functional.hessian(function, (x, y), **options),
                lib.autograd.functional.hessian(lambda x: function(x, y), x, **options)]

    program(run)


def test_under_no_grad():
    def run(lib):
        x, _, v, _ = numbers(lib)
        functional = lib.autograd.functional
        with lib.no_grad():
            return [functional.jacobian(ONE["elementwise"], x), functional.vjp(
                ONE["elementwise"], x, v), functional.jvp(ONE["elementwise"], x, v),
                functional.hvp(ONE["scalar"], x, v), functional.hessian(ONE["scalar"], x)]

    program(run)


# --- errors ---------------------------------------------------------------------------------------

STRICT = {
    "no gradient": lambda x, y: (x * y).detach().sum(),
    "independent": lambda x, y: (x * x).sum(),
    "linear": lambda x, y: x.sum() + y.sum(),
    "quadratic": lambda x, y: (x * x).sum() + (y * y).sum(),
    "two outputs": lambda x, y: (x.exp().sum(), y.exp().sum()),
    "cubic": lambda x, y: (x ** 3).sum() + (x * y ** 3).sum(),
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(("name", "function"), list(itertools.product(
    ["jacobian", "hessian", "vjp", "jvp", "vhp", "hvp"], STRICT)))
def test_strict(name, function, create_graph):
    def run(lib):
        x, y, v, w = numbers(lib, requires_grad=True)
        arguments = [(v, w)] if name in ("jvp", "vhp", "hvp") else []
        if name == "vjp" and function == "two outputs":
            arguments = [(lib.ones((), dtype=lib.float64),) * 2]
        try:
            return getattr(lib.autograd.functional, name)(
                STRICT[function], (x, y), *arguments, create_graph=create_graph, strict=True)
        except RuntimeError as error:
            return str(error)

    program(run)


ERRORS = {
    "jacobian input": lambda f, x: f.jacobian(lambda x: x, [x]),
    "jacobian inputs": lambda f, x: f.jacobian(lambda x, y: x, (x, 3)),
    "jacobian output": lambda f, x: f.jacobian(lambda x: 3, x),
    "jacobian outputs": lambda f, x: f.jacobian(lambda x: (x, 3), x),
    "jacobian strategy": lambda f, x: f.jacobian(lambda x: x, x, strategy="both"),
    "jacobian forward": lambda f, x: f.jacobian(lambda x: x, x, strategy="forward-mode"),
    "jacobian forward strict": lambda f, x: f.jacobian(
        lambda x: x, x, strategy="forward-mode", strict=True),
    "jacobian forward graph": lambda f, x: f.jacobian(
        lambda x: x, x, strategy="forward-mode", create_graph=True),
    "jacobian vectorized strict": lambda f, x: f.jacobian(
        lambda x: x, x, vectorize=True, strict=True),
    "hessian of two": lambda f, x: f.hessian(lambda x: (x, x), x),
    "hessian of many": lambda f, x: f.hessian(lambda x: x, x),
    "hessian strategy": lambda f, x: f.hessian(lambda x: x, x, outer_jacobian_strategy="both"),
    "vjp without v": lambda f, x: f.vjp(lambda x: x, x),
    "vjp length": lambda f, x: f.vjp(lambda x: (x, x), x, x),
    "vjp single": lambda f, x: f.vjp(lambda x: x, x, (x, x)),
    "vjp size": lambda f, x: f.vjp(lambda x: x.sum(0), x, x),
    "vjp sizes": lambda f, x: f.vjp(lambda x: (x, x.sum(0)), x, (x, x)),
    "vjp v": lambda f, x: f.vjp(lambda x: x, x, 3),
    "jvp without v": lambda f, x: f.jvp(lambda x: x, x),
    "jvp size": lambda f, x: f.jvp(lambda x: x, x, x[0]),
    "jvp length": lambda f, x: f.jvp(lambda x, y: x, (x, x), x),
    "vhp of two": lambda f, x: f.vhp(lambda x: (x, x), x, x),
    "vhp of many": lambda f, x: f.vhp(lambda x: x, x, x),
    "hvp without v": lambda f, x: f.hvp(lambda x: x.sum(), x),
    "hvp of many": lambda f, x: f.hvp(lambda x: x, x, x),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    check_error([(2, 3)], lambda lib, x: ERRORS[name](lib.autograd.functional, x))
