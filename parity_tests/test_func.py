"""minigrad.func: values, nesting and histories of derivatives as functions, and their errors."""

from __future__ import annotations

import pytest

from parity_tests.harness import candidate, check, check_error, program

pytestmark = pytest.mark.xdist_group("func")


def numbers(lib):
    lib.manual_seed(0)
    return [lib.randn(*shape, dtype=lib.float64) for shape in [(2, 3), (3,), (2, 3), (3,)]]


def f(x, y):
    return x.sin() * y.exp() + x * x


CASES = {
    "grad": lambda F, x, y, t, s: F.grad(lambda x: (x ** 3).sum())(x),
    "grad of another": lambda F, x, y, t, s: F.grad(lambda x, y: f(x, y).sum(), argnums=1)(x, y),
    "grad of the last": lambda F, x, y, t, s: F.grad(lambda x, y: f(x, y).sum(), -1)(x, y),
    "grad of both": lambda F, x, y, t, s: F.grad(lambda x, y: f(x, y).sum(), (1, 0))(x, y),
    "grad with aux": lambda F, x, y, t, s: F.grad(
        lambda x: (x.exp().sum(), {"y": x * y}), has_aux=True)(x),
    "grad and value": lambda F, x, y, t, s: F.grad_and_value(lambda x: (x ** 3).sum())(x),
    "grad and value with aux": lambda F, x, y, t, s: F.grad_and_value(
        lambda x: ((x ** 3).sum(), x), has_aux=True)(x),
    "grad of a dict": lambda F, x, y, t, s: F.grad(
        lambda p: (p["w"] * p["b"][0]).sin().sum())({"w": x, "b": [y, s]}),
    "grad with a keyword": lambda F, x, y, t, s: F.grad(lambda x, y: f(x, y).sum())(x, y=y),
    "grad of a constant": lambda F, x, y, t, s: F.grad(lambda x: (y * y).sum())(x),
    "second": lambda F, x, y, t, s: F.grad(
        lambda x: F.grad(lambda x: (x ** 3).sum())(x).sin().sum())(x),
    "third": lambda F, x, y, t, s: F.grad(F.grad(F.grad(lambda x: x ** 4)))(y[0]),
    "perturbations apart": lambda F, x, y, t, s: F.grad(
        lambda a: a * F.grad(lambda b: a + b)(y[1]))(y[0]),
    "perturbations apart, forward": lambda F, x, y, t, s: F.jvp(
        lambda a: a * F.jvp(lambda b: a + b, (y[1],), (s[1],))[1], (y[0],), (s[0],)),
    "vjp": lambda F, x, y, t, s: [(out, back(t)) for out, back in [F.vjp(f, x, y)]],
    "vjp twice": lambda F, x, y, t, s: [(back(t), back(x)) for _, back in [F.vjp(f, x, y)]],
    "vjp with aux": lambda F, x, y, t, s: [(out, back(t), aux) for out, back, aux in [
        F.vjp(lambda x: (x.sin(), x * 2), x, has_aux=True)]],
    "vjp of two": lambda F, x, y, t, s: [back((t, s)) for _, back in [
        F.vjp(lambda x, y: (x.sin(), y * x.sum()), x, y)]],
    "jvp": lambda F, x, y, t, s: F.jvp(f, (x, y), (t, s)),
    "jvp with aux": lambda F, x, y, t, s: F.jvp(
        lambda x: (x.exp(), y), (x,), (t,), has_aux=True),
    "jvp of two": lambda F, x, y, t, s: F.jvp(lambda x: {"a": x.sin(), "b": y}, (x,), (t,)),
    "jvp of jvp": lambda F, x, y, t, s: F.jvp(
        lambda x: F.jvp(lambda x: x.exp() * x, (x,), (t,))[1], (x,), (t,)),
    "jvp of grad": lambda F, x, y, t, s: F.jvp(
        F.grad(lambda x: (x ** 3 * y).sum()), (x,), (t,)),
    "grad of jvp": lambda F, x, y, t, s: F.grad(
        lambda x: F.jvp(lambda x: x.exp() * x, (x,), (t,))[1].sum())(x),
    "jvp of vjp": lambda F, x, y, t, s: F.jvp(
        lambda x: F.vjp(lambda x: x.tanh() * x, x)[1](t)[0], (x,), (t,)),
    "jacrev": lambda F, x, y, t, s: F.jacrev(f)(x, y),
    "jacrev of both": lambda F, x, y, t, s: F.jacrev(f, argnums=(0, 1))(x, y),
    "jacrev with aux": lambda F, x, y, t, s: F.jacrev(
        lambda x: (x.sin().sum(0), x), has_aux=True)(x),
    "jacrev in a dict": lambda F, x, y, t, s: F.jacrev(
        lambda p: {"s": p["w"].sum(0), "p": p["w"] * p["b"]})({"w": x, "b": y}),
    "jacfwd": lambda F, x, y, t, s: F.jacfwd(f)(x, y),
    "jacfwd of both": lambda F, x, y, t, s: F.jacfwd(f, argnums=(0, 1))(x, y),
    "jacfwd with aux": lambda F, x, y, t, s: F.jacfwd(
        lambda x: (x.sin().sum(0), x), has_aux=True)(x),
    "jacfwd of two": lambda F, x, y, t, s: F.jacfwd(lambda x: (x.sin(), x.sum()))(x),
    "jacfwd of jacfwd": lambda F, x, y, t, s: F.jacfwd(F.jacfwd(lambda y: (y ** 3).sum()))(y),
    "jacrev of jacfwd": lambda F, x, y, t, s: F.jacrev(F.jacfwd(lambda y: y ** 3))(y),
    "jacrev of jacrev": lambda F, x, y, t, s: F.jacrev(F.jacrev(lambda y: y ** 3))(y),
    "hessian": lambda F, x, y, t, s: F.hessian(lambda x: (x.sin() * x * y).sum())(x),
    "hessian of both": lambda F, x, y, t, s: F.hessian(
        lambda x, y: f(x, y).sum(), argnums=(0, 1))(x, y),
    "hessian of softmax": lambda F, x, y, t, s: F.hessian(
        lambda y: (y.softmax(0) ** 2).sum() + y.tanh().prod())(y),
    "linearize": lambda F, x, y, t, s: [(out, push(t, s), push(x, y)) for out, push in [
        F.linearize(f, x, y)]],
}


@pytest.mark.parametrize("name", CASES)
def test_func(name):
    program(lambda lib: CASES[name](lib.func, *numbers(lib)))


@pytest.mark.parametrize("name", [name for name in CASES if "linearize" not in name])
def test_under_no_grad(name):
    def run(lib):
        with lib.no_grad():
            return CASES[name](lib.func, *numbers(lib))

    program(run)


# --- histories ------------------------------------------------------------------------------------

OUTER = {
    "grad": lambda F, x, y: F.grad(lambda x: (x ** 3 * y).sum())(x),
    "grad and value": lambda F, x, y: F.grad_and_value(lambda x: (x ** 3 * y).sum())(x),
    "closure": lambda F, x, y: F.grad(lambda z: (z ** 3 * y).sum())(x.detach()),
    "vjp": lambda F, x, y: F.vjp(lambda x: x.sin() * y, x)[1](x),
    "jacrev": lambda F, x, y: F.jacrev(lambda x: x.sin() * y)(x),
    "jacfwd": lambda F, x, y: F.jacfwd(lambda x: x.sin() * y)(x),
    "jvp": lambda F, x, y: F.jvp(lambda x: x.sin() * y, (x,), (x * y,)),
    "the same tensor, known otherwise": lambda F, x, y: F.grad(lambda z: (z ** 3 * x).sum())(x),
}


@pytest.mark.parametrize("name", OUTER)
def test_gradients_of_the_result(name):
    check([(2, 3), (3,)], lambda lib, x, y: OUTER[name](lib.func, x, y), dtypes=("float64",),
          leaks=False)


def test_a_result_does_not_tell_of_the_roots():
    def run(lib):
        x, y, _, _ = numbers(lib)
        seen = []

        def inside(z):
            seen.append(z.requires_grad)
            return (z ** 3 * y).sum()

        gradient, value = lib.func.grad_and_value(inside)(x)
        seen += [gradient.requires_grad, value.requires_grad, x.requires_grad, x.grad is None]
        out, back = lib.func.vjp(lambda z: z * 2, x)
        seen += [out.requires_grad, back(x)[0].requires_grad]

        def nested(z):
            inner = lib.func.grad(lambda w: (w ** 2).sum())(y)
            seen.append(inner.requires_grad)
            outer = lib.func.grad(lambda w: (w ** 2 * z).sum())(x)
            return (outer * inner).sum()

        seen.append(lib.func.grad(nested)(x).requires_grad)
        with lib.no_grad():
            w = x.clone().requires_grad_()
            seen.append(lib.func.grad(lambda z: (z ** 3).sum())(w).requires_grad)
        return [bool(each) for each in seen[1:7]], seen[-1], seen[-2]

    program(run)


def test_writes_to_an_argument():
    def run(lib):
        x, y, t, _ = numbers(lib)

        def writes(x):
            x.mul_(y)
            return (x * x).sum()

        return (lib.func.grad(lambda x: writes(x * 1))(x), lib.func.jvp(writes, (x.clone(),), (t,)),
                lib.func.jacfwd(lambda x: x.clone().exp_().mul_(x))(x))

    program(run)


# --- modules --------------------------------------------------------------------------------------

def model(lib):
    lib.manual_seed(0)
    return lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Tanh(),
                             lib.nn.Linear(4, 1)).double()


def test_functional_call():
    def run(lib):
        net, (x, _, _, _) = model(lib), numbers(lib)
        own = {name: each.detach().clone() for name, each in net.named_parameters()}
        other = {name: each * 2 for name, each in own.items()}
        buffers = {name: each.clone() for name, each in net.named_buffers()}

        def loss(parameters):
            return lib.func.functional_call(net, (parameters, buffers), (x,)).square().sum()

        found = [lib.func.functional_call(net, (other, buffers), x).detach()]
        net.eval()  # inside a transform torch refuses to write to the running means
        found += [lib.func.functional_call(net, other, x), lib.func.grad(loss)(other),
                 lib.func.jvp(loss, (other,), (own,)), buffers,
                 [p.detach() for p in net.parameters()], dict(net.named_buffers()),
                 net(x).detach(), [p.grad is None for p in net.parameters()]]
        found.append(lib.func.functional_call(net, {"0.bias": own["0.bias"] * 3}, args=(),
                                              kwargs={"input": x}).detach())
        return found

    program(run)


def tied(lib):
    net = lib.nn.Sequential(lib.nn.Linear(2, 2, bias=False), lib.nn.Linear(2, 2, bias=False))
    net[1].weight = net[0].weight
    return net


def test_tied_weights():
    def run(lib):
        x, eye = lib.ones(1, 2), lib.eye(2)
        call = lib.func.functional_call
        return [call(tied(lib), {"0.weight": eye * 2}, x),
                call(tied(lib), {"0.weight": eye * 2, "1.weight": eye * 3}, x, tie_weights=False),
                call(tied(lib), {"0.weight": eye * 2}, x, strict=True)]

    program(run)


# --- errors ---------------------------------------------------------------------------------------

ERRORS = {
    "not a scalar": lambda lib, x: lib.func.grad(lambda x: x)(x),
    "not a tensor": lambda lib, x: lib.func.grad(lambda x: 3)(x),
    "no aux": lambda lib, x: lib.func.grad(lambda x: x.sum(), has_aux=True)(x),
    "argnum": lambda lib, x: lib.func.grad(lambda x: x.sum(), argnums=1)(x),
    "argnums": lambda lib, x: lib.func.grad(lambda x: x.sum(), argnums=())(x),
    "argnums twice": lambda lib, x: lib.func.grad(lambda x: x.sum(), argnums=(0, 0))(x),
    "argnums of another kind": lambda lib, x: lib.func.grad(lambda x: x.sum(), argnums=[0])(x),
    "a number": lambda lib, x: lib.func.grad(lambda x: x)(3.0),
    "integers": lambda lib, x: lib.func.grad(lambda x: x.sum())(x.long()),
    "vjp of a number": lambda lib, x: lib.func.vjp(lambda x: 3, x),
    "vjp of integers": lambda lib, x: lib.func.vjp(lambda x: x > 1, x),
    "vjp without aux": lambda lib, x: lib.func.vjp(lambda x: x, x, has_aux=True),
    "jvp without a tuple": lambda lib, x: lib.func.jvp(lambda x: x, x, x),
    "jvp strict": lambda lib, x: lib.func.jvp(lambda y: x, (x,), (x,), strict=True),
    "jvp of a number": lambda lib, x: lib.func.jvp(lambda x: 3, (x,), (x,)),
    "jvp with a number": lambda lib, x: lib.func.jvp(lambda x: x, (x,), (3.0,)),
    "jvp of another shape": lambda lib, x: lib.func.jvp(lambda x: x, (x,), (x[0],)),
    "chunk": lambda lib, x: lib.func.jacrev(lambda x: x, chunk_size=0),
    "complex": lambda lib, x: lib.func.jacrev(lambda x: x)(x * 1j),
    "complex forward": lambda lib, x: lib.func.jacfwd(lambda x: x)(x * 1j),
    "not dictionaries": lambda lib, x: lib.func.functional_call(tied(lib), [3], x),
    "no dictionary": lambda lib, x: lib.func.functional_call(tied(lib), 3, x),
    "twice": lambda lib, x: lib.func.functional_call(tied(lib), ({"a": x}, {"a": x}), x),
    "two values of one": lambda lib, x: lib.func.functional_call(
        tied(lib), {"0.weight": x, "1.weight": x * 2}, x),
    "strict": lambda lib, x: lib.func.functional_call(
        lib.nn.Linear(2, 2), {"weight": x, "other": x}, x, strict=True),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    check_error([(2, 2)], ERRORS[name])


@pytest.mark.parametrize(("name", "words"), [
    ("jvp", "Expected primals and tangents to have the same python structure"),
    ("vjp", "Expected pytree structure of cotangents to be the same as pytree structure")])
def test_other_structures(name, words):
    def run(lib, x):
        if name == "jvp":
            return lib.func.jvp(lambda x: x, (x,), (x, x))
        return lib.func.vjp(lambda x: x, x)[1]((x, x))

    check_error([(2, 2)], run, match=words)


def test_vmap_is_not_there():
    with pytest.raises(AttributeError, match="minigrad has no 'torch.func.vmap'"):
        _ = candidate().func.vmap
