"""Modes: no_grad and relatives, inference mode, anomaly detection; which tensors are leaves."""

from __future__ import annotations

import threading

import pytest

from parity_tests.harness import candidate
from parity_tests.traces import attempt, traced


@traced
def test_contexts(torch, say):
    x = say.leaf([1.0, 2.0])
    with torch.no_grad():
        say(torch.is_grad_enabled(), (x * 2).requires_grad)
        with torch.enable_grad():
            say(torch.is_grad_enabled(), (x * 2).requires_grad)
        with torch.set_grad_enabled(True):
            say(torch.is_grad_enabled())
        say(torch.is_grad_enabled())
    torch.set_grad_enabled(False)
    say(torch.is_grad_enabled())
    torch.set_grad_enabled(True)
    say(attempt(lambda: torch.set_grad_enabled("yes")), attempt(lambda: torch.set_grad_enabled()))

    def fails():
        with torch.no_grad():
            raise ValueError("inside")

    say(attempt(fails), torch.is_grad_enabled())
    with torch.autograd.no_grad(), torch.autograd.grad_mode.enable_grad():
        say(torch.is_grad_enabled())
    say(repr(torch.set_grad_enabled(True)).rpartition(".")[2])


@traced
def test_decorators(torch, say):
    @torch.no_grad()
    def off(n):
        """What it says."""
        return torch.is_grad_enabled() if n == 0 else off(n - 1)

    @torch.no_grad
    def bare():
        return torch.is_grad_enabled()

    @torch.enable_grad()
    def on():
        return torch.is_grad_enabled()

    say(off(2), off.__name__, off.__doc__, bare(), on(), torch.is_grad_enabled())
    with torch.no_grad():
        say(on(), torch.is_grad_enabled())

    @torch.set_grad_enabled(False)
    def switched():
        return torch.is_grad_enabled()

    say(switched(), torch.is_grad_enabled())

    @torch.inference_mode()
    def inferring():
        return torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    @torch.inference_mode
    def inferring_bare():
        return torch.is_inference_mode_enabled()

    say(inferring(), inferring_bare(), torch.is_inference_mode_enabled())


@traced
def test_decorated_classes(torch, say):
    def decorate():
        @torch.no_grad()
        class Model:
            def __init__(self):
                say("made", torch.is_grad_enabled())

            def call(self):
                return torch.is_grad_enabled()

        return Model().call()

    say(attempt(decorate))


@traced
def test_generators(torch, say):
    @torch.no_grad()
    def numbers():
        try:
            for i in range(3):
                received = yield i, torch.is_grad_enabled()
                say("received", received, torch.is_grad_enabled())
        except ValueError as error:
            say("thrown", str(error), torch.is_grad_enabled())
            yield "handled", torch.is_grad_enabled()
        finally:
            say("closed", torch.is_grad_enabled())
        return "end"

    for pair in numbers():
        say(pair, torch.is_grad_enabled())
    generator = numbers()
    next(generator)
    say(generator.send("sent"), torch.is_grad_enabled())
    say(generator.throw(ValueError("oops")))
    generator.close()
    say(torch.is_grad_enabled())


@traced
def test_threads_have_their_own_mode(torch, say):
    seen = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(
            (torch.is_grad_enabled(), torch.is_inference_mode_enabled())))
        thread.start()
        thread.join()
        say(seen, torch.is_grad_enabled())
    with torch.inference_mode():
        thread = threading.Thread(target=lambda: seen.append(
            (torch.is_inference_mode_enabled(), torch.ones(2).is_inference())))
        thread.start()
        thread.join()
    say(seen)


@traced
def test_leaves(torch, say):
    x = say.leaf([1.0, 2.0])
    constant = x.detach()
    with torch.no_grad():
        made_without = x * 2
        view_without = x[:1]
    tensors = {
        "leaf": x, "result": x * 2, "detached": x.detach(), "constant": constant * 2,
        "view": x[:1], "view of a constant": constant[:1], "no_grad": made_without,
        "no_grad view": view_without, "clone": x.clone(), "to": x.to(x.dtype), "data": x.data,
        "float": x.float(), "index": x.argmax(), "new": x.new_zeros(2),
        "new that requires": x.new_zeros(2, requires_grad=True), "sum": x.sum(), "bool": x > 1,
        "like": torch.zeros_like(x), "real": torch.real(x), "unbound": x.unbind()[0],
    }
    for name, t in tensors.items():
        say(name, t.requires_grad, t.is_leaf, t.grad_fn is None, t._is_view(), t._base is x)
    y = x * 2
    say(attempt(lambda: setattr(y, "requires_grad", False)))
    say(attempt(lambda: setattr(tensors["index"], "requires_grad", True)))
    say(attempt(lambda: tensors["index"].requires_grad_()))
    say(attempt(lambda: torch.ones(2, dtype=torch.int64, requires_grad=True)))
    say(y.requires_grad_() is y, y.is_leaf)
    z = x.detach().requires_grad_()
    z.requires_grad = False
    say(z.requires_grad)
    w = y.detach_()
    say(w is y, y.requires_grad, y.is_leaf, attempt(lambda: x[:1].detach_()))
    complex_leaf = torch.ones(2, dtype=torch.complex64, requires_grad=True)
    say(complex_leaf.is_leaf, torch.real(complex_leaf).requires_grad)


@traced
def test_grad_assignment(torch, say):
    x = say.leaf([1.0, 2.0])
    for value in (torch.ones(3), "text", torch.ones(2), x, None,
                  torch.ones(2, dtype=torch.float64)):
        say(attempt(lambda value=value: setattr(x, "grad", value)))
    x.grad = None
    del x.grad
    say(x.grad is None)


# --- inference mode ------------------------------------------------------------------------------

@traced
def test_inference_tensors(torch, say):
    x, n = say.leaf([1.0, 2.0, 3.0]), say.leaf([1.0, 2.0, 3.0], False)
    with torch.inference_mode():
        i = torch.ones(3, dtype=torch.float64)
        view, of_leaf, product = n[:2], x[:2], x * 2
        i.add_(1)
        n.add_(1)
        say(n._version, i.is_inference(), view.is_inference(), of_leaf.is_inference(),
            product.is_inference(), product.requires_grad, (i * 2).is_inference(),
            i[:1].is_inference(), n.is_inference())
        say(attempt(lambda: i._version))
        inner = torch.ones(3, dtype=torch.float64, requires_grad=True)
        say(inner.requires_grad, inner.is_leaf)
        with torch.inference_mode(False):
            say(torch.is_inference_mode_enabled(), (x * 2).requires_grad,
                torch.ones(2).is_inference())
    say(attempt(lambda: x * i), attempt(lambda: x + i), (i * 2).is_inference())
    say(i[:2].is_inference(), attempt(lambda: i.requires_grad_()))
    before = i.clone()
    say(attempt(lambda: i.add_(1)), attempt(lambda: i[:2].add_(1)))
    i = before  # torch has written before it refuses
    with torch.inference_mode():
        i = i.clone()
    say(attempt(lambda: view.add_(1)), attempt(lambda: view.mul_(x[:2])))
    say(attempt(lambda: n.copy_(i)), attempt(lambda: i.copy_(n.detach())))
    say(i.clone().is_inference(), i.detach().is_inference(), torch.is_inference(i))
    say(attempt(lambda: i.sum().backward()))


@traced
def test_inference_tensors_and_functions(torch, say):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g * b, g * a

    x = say.leaf([1.0, 2.0])
    with torch.inference_mode():
        i = torch.ones(2, dtype=torch.float64)
    say(attempt(lambda: Product.apply(x, i)))
    y = Product.apply(x, i.clone())
    y.sum().backward()
    with torch.inference_mode():
        z = torch.nn.functional.linear(torch.ones(2), torch.ones(3, 2))
        say(z.is_inference(), z)
    return x.grad


# --- anomaly detection ---------------------------------------------------------------------------

def report_of(torch, program):
    """What anomaly detection says: the warning, then the error."""
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said = attempt(program)
    return [str(each.message) for each in caught if "forward call" in str(each.message)
            or "Anomaly" in str(each.message)], said


@traced
def test_anomalies(torch, say):
    x = say.leaf([1.0, 0.0])

    def nan():
        with torch.autograd.detect_anomaly():
            y = torch.sqrt(x * 0)  # the line to find
            (y * 0).sum().backward()

    warned, said = report_of(torch, nan)
    say(said, len(warned), ["the line to find" in text for text in warned],
        [text.split(" Traceback")[0] for text in warned])

    def unchecked():
        with torch.autograd.detect_anomaly(check_nan=False):
            (torch.sqrt(x * 0) * 0).sum().backward()

    say(report_of(torch, unchecked)[1])

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("some error in backward")

    def error():
        with torch.autograd.set_detect_anomaly(True):
            y = Fails.apply(x)  # made here
            y.sum().backward()

    warned, said = report_of(torch, error)
    say(said, ["made here" in text for text in warned])
    warned, said = report_of(torch, lambda: Fails.apply(x).sum().backward())
    say(said, len(warned), torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled())
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        say(torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled())
        say("traceback_" in (x * 2).grad_fn.metadata)

    def late():
        y = Fails.apply(x)
        with torch.autograd.detect_anomaly():
            y.sum().backward()

    warned, said = report_of(torch, late)
    say(said, [text.split(".")[0] for text in warned])


@traced
def test_anomalies_of_the_second_order(torch, say):
    x = say.leaf([1.0, 2.0])

    def second():
        with torch.autograd.detect_anomaly():
            y = x.sqrt()  # forward line
            (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)  # backward line
            z = (g * 0 - 0).sqrt()
            z.sum().backward()

    warned, said = report_of(torch, second)
    say(said, len(warned))


def test_anomaly_detection_shows_the_line_of_custom_modules():
    lib = candidate()
    net = lib.nn.Linear(2, 2)

    def program():
        with lib.autograd.detect_anomaly():
            loss = (net(lib.ones(1, 2)) * 0).sqrt().sum()  # THE LINE
            (loss * 0).backward()

    warned, said = report_of(lib, program)
    assert any("THE LINE" in text for text in warned) and "nan" in said


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
@traced
def test_training_is_off_in_a_function_called_by_backward(torch, say, mode):
    x = say.leaf([1.0, 2.0])
    y = x * 2
    y.register_hook(lambda g: say(torch.is_grad_enabled()))
    with getattr(torch, mode)():
        say(attempt(lambda: y.sum().backward()))
    y.sum().backward(create_graph=True)
    return x.grad.requires_grad
