"""What the docstrings of pointwise ops say is what the ops compute.

An op's docstring opens with its formula, "$y = \\sqrt a$, so $\\bar a = \\bar y / (2 y^*)$". tex.py
reads it; then, at random points, y is what the kernel gives, the derivative of the formula (which
sympy takes) is what the rule gives, and so is what the docstring says of the gradient. A formula
with a conjugate in it is about complex numbers too, and is checked with them as well.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy

import minigrad
from parity_tests.tex import NOT_ANALYTIC, numbers_of, statements, symbol

FAMILIES = ["activation", "arithmetic", "bessel", "choosing", "complex", "exponential_units",
            "floating", "gamma", "loss", "margin_loss", "piecewise_linear", "pointwise",
            "probability_loss", "special"]
LOSSES = {"loss", "margin_loss", "probability_loss"}
COUNT = 12  # points

# Ops of these families that are not checked.
NOT_POINTWISE = {
    "activation._glu": "takes two halves of a dimension",
    "activation.glu_backward": "takes two halves of a dimension",
    "complex.view_as_real": "a view, with another shape",
    "complex.view_as_complex": "a view, with another shape",
    "loss._nll_loss": "looks elements up by class",
    "loss._nll_loss2d": "looks elements up by class",
}
IN_WORDS = {
    "activation._prelu_backward": "two results",
    "floating._frexp": "two results, of which one is an integer",
    "floating._nextafter": "is about the last bit",
    "floating._nan_to_num": "is about what is no number",
}


class Case(NamedTuple):
    """How an op is called, where its formula holds, and what its letters mean."""

    domain: Any = (-2.0, 2.0)          # of every input, or {input: its domain}; "bool"
    values: dict[str, Any] = {}        # keyword arguments
    letters: dict[str, str] = {}       # {"n": "exponent"}; inputs are a, b, c otherwise
    number: str = ""                   # the input that is a Python number
    refused: tuple[str, ...] = ()      # inputs for which the rule only raises
    rtol: float = 1e-10


POSITIVE, INSIDE = (0.2, 3.0), (-0.9, 0.9)
SHAPED = {"reduction": "none"}
NUMBER = Case(values={"other": 1.7}, letters={"c": "other"})
REFUSED = ("grad_output", "input")
BETWEEN = {"values": {"min_val": -1.0, "max_val": 1.5}, "letters": {"l": "min_val", "u": "max_val"}}
UNIT = {"alpha": 1.3, "scale": 1.1, "input_scale": 0.7}
UNIT_LETTERS = {"s": "scale", "k": "input_scale"}

CASES = {
    "activation.threshold_backward": Case(values={"threshold": 0.3}, letters={"t": "threshold"}),
    "activation._threshold": Case(values={"threshold": 0.3, "value": 2.5},
                                  letters={"t": "threshold", "v": "value"}),
    "activation._leaky_relu": Case(values={"negative_slope": 0.1}, letters={"s": "negative_slope"}),
    "activation.leaky_relu_backward": Case(values={"negative_slope": 0.1},
                                           letters={"s": "negative_slope"}),
    "activation._rrelu_with_noise": Case(values={"noise": np.linspace(0.1, 1, COUNT)},
                                         letters={"s": "noise"}),
    "activation.rrelu_with_noise_backward": Case(values={"noise": np.linspace(0.1, 1, COUNT)},
                                                 letters={"s": "noise"}),
    "activation._prelu": Case(letters={"w": "weight"}),
    "activation._gelu": Case(values={"approximate": "none"}),
    "activation.gelu_backward": Case(values={"approximate": "none"}),
    "activation.silu_backward": Case(refused=REFUSED),
    "activation.mish_backward": Case(refused=REFUSED),
    "activation._softplus": Case(values={"beta": 1.5, "threshold": 1.2},
                                 letters={"t": "threshold"}),
    "activation.softplus_backward": Case(values={"beta": 1.5, "threshold": 1.2},
                                         letters={"t": "threshold"}),
    "arithmetic.add": Case(values={"alpha": 1.7}),
    "arithmetic.sub": Case(values={"alpha": 1.7}),
    "arithmetic.rsub": Case(values={"alpha": 1.7}),
    "arithmetic.div_rounded": Case(values={"rounding_mode": "floor"}),
    "arithmetic.add_number": NUMBER,
    "arithmetic.sub_number": NUMBER,
    "arithmetic.mul_number": NUMBER,
    "arithmetic.div_number": NUMBER,
    "arithmetic.pow_scalar": Case(POSITIVE, {"exponent": 2.5}, {"n": "exponent"}),
    "arithmetic.pow_tensor": Case(POSITIVE),
    "arithmetic._pow_of_number": Case(letters={"c": "input", "b": "exponent"}, number="input"),
    "choosing._round_decimals": Case(values={"decimals": 2}, letters={"d": "decimals"}),
    "choosing.floor_divide": Case(refused=("input", "other")),
    "choosing._clamp": Case(values={"min": -1.0, "max": 1.0}, letters={"l": "min", "u": "max"}),
    "choosing._clamp_tensors": Case(letters={"l": "min", "u": "max"}),
    "choosing.clamp_min": Case(letters={"l": "min"}),
    "choosing.clamp_max": Case(letters={"u": "max"}),
    "choosing._select_by": Case({"condition": "bool"},
                                letters={"c": "condition", "a": "input", "b": "other"}),
    "choosing._masked_fill": Case({"mask": "bool"}, {"value": 1.7}, {"m": "mask", "v": "value"}),
    "choosing._masked_fill_tensor": Case({"mask": "bool"}, {}, {"m": "mask", "v": "value"}),
    "choosing._lerp": Case(letters={"w": "weight"}),
    "choosing._addcmul": Case(values={"value": 1.7}, letters={"v": "value"}),
    "choosing._addcdiv": Case(values={"value": 1.7}, letters={"v": "value"}),
    "complex._polar": Case(letters={"r": "abs", "phi": "angle"}),
    "exponential_units._elu": Case(values=UNIT, letters=UNIT_LETTERS),
    "exponential_units._celu": Case(values={"alpha": 1.3, "scale": 1.1, "input_scale": 1 / 1.3},
                                    letters=UNIT_LETTERS, rtol=1e-7),  # torch's is of float32
    "exponential_units.elu_backward": Case(values={**UNIT, "is_result": False},
                                           letters=UNIT_LETTERS),
    "floating._heaviside": Case(refused=("input", "values")),
    "gamma._mvlgamma": Case((1.2, 4.0), {"p": 3}),
    "gamma.lgamma": Case(POSITIVE),
    "gamma.digamma": Case(POSITIVE, rtol=1e-8),  # see Note [The trigamma function]
    "gamma._polygamma": Case(POSITIVE, {"n": 2}),
    "gamma.polygamma_kernel_in_place": Case(POSITIVE, {"n": 3}),
    "gamma._zeta": Case((1.5, 4.0), letters={"x": "input", "q": "other"}, refused=("input",)),
    "gamma._zeta_of_number": Case((1.5, 4.0), letters={"x": "input", "q": "other"},
                                  number="input"),
    "gamma.igamma": Case((1.2, 4.0), letters={"x": "other"}, refused=("input",)),
    "gamma.igammac": Case((1.2, 4.0), letters={"x": "other"}, refused=("input",)),
    "loss._mse_loss": Case(values=SHAPED),
    "loss.mse_loss_backward": Case(values=SHAPED),
    "loss._smooth_l1_loss": Case(values={**SHAPED, "beta": 0.8}),
    "loss.smooth_l1_loss_backward": Case(values={**SHAPED, "beta": 0.8}),
    "loss._huber_loss": Case(values={**SHAPED, "delta": 0.8}),
    "loss.huber_loss_backward": Case(values={**SHAPED, "delta": 0.8}),
    "margin_loss._soft_margin_loss": Case(values=SHAPED),
    "margin_loss.soft_margin_loss_backward": Case(values=SHAPED),
    **{f"piecewise_linear.{name}": Case(**BETWEEN) for name in ("_hardtanh", "hardtanh_backward")},
    **{f"piecewise_linear.{name}": Case(values={"lambd": 0.5}, letters={"lambda": "lambd"})
       for name in ("_hardshrink", "hardshrink_backward", "_softshrink", "softshrink_backward")},
    "piecewise_linear._hardsigmoid": Case((-6, 6), rtol=1e-7),  # torch's 1/6 is one of float32
    "piecewise_linear.hardsigmoid_backward": Case((-6, 6), rtol=1e-7, refused=REFUSED),
    "piecewise_linear._hardswish": Case((-6, 6)),
    "piecewise_linear.hardswish_backward": Case((-6, 6)),
    "pointwise.acos": Case(INSIDE),
    "pointwise.asin": Case(INSIDE),
    "pointwise.acosh": Case((1.2, 3.0)),
    "pointwise.atanh": Case(INSIDE),
    "pointwise.erfinv": Case(INSIDE),
    "pointwise._logit": Case((0.1, 0.9), {"eps": None}),
    **{f"pointwise.{name}": Case(POSITIVE) for name in (
        "sqrt", "rsqrt", "log", "log2", "log10", "log1p", "_xlogy")},
    "pointwise._xlogy_of_number": Case(POSITIVE, letters={"c": "input", "b": "other"},
                                       number="input"),
    "probability_loss._binary_cross_entropy": Case((0.1, 0.9), SHAPED),
    "probability_loss._slope": Case((0.1, 0.9), SHAPED),
    "probability_loss._binary_cross_entropy_with_logits": Case(values=SHAPED,
                                                               letters={"p": "pos_weight"}),
    "special.ndtri": Case((0.1, 0.9)),
    "special.entr": Case(POSITIVE),
    "special._xlog1py": Case(POSITIVE),
    "special._xlog1py_by_number": Case(POSITIVE, number="other"),
    "special._xlog1py_of_number": Case(POSITIVE, letters={"c": "input", "b": "other"},
                                       number="input"),
}


def primitives(families: list[str]) -> dict[str, Any]:
    """Every op with a rule, by `family.name`."""
    found: dict[str, Any] = {}
    seen = set()
    for family in families:
        for name, value in vars(importlib.import_module(f"minigrad.ops.{family}")).items():
            op = getattr(value, "op", None)
            home = op.kernel.__module__.rpartition(".")[2] if op is not None else ""
            if home in (family, "scipy_functions") and op.rules and id(op) not in seen \
                    and name != "_op":  # what a loop leaves behind
                seen.add(id(op))
                found[f"{family}.{name}"] = value
    return found


POINTWISE = primitives(FAMILIES)
CHECKED = [name for name in POINTWISE if name not in NOT_POINTWISE and name not in IN_WORDS]


def test_lists_are_about_ops_that_there_are():
    assert {*CASES, *NOT_POINTWISE, *IN_WORDS} <= {*POINTWISE}
    assert not CASES.keys() & (NOT_POINTWISE.keys() | IN_WORDS.keys())


class Trial:
    """One op at random points, and what its docstring's letters are there."""

    def __init__(self, name: str, is_complex: bool = False, refused: bool = False) -> None:
        family = name.partition(".")[0]
        self.function = POINTWISE[name]
        self.op = self.function.op
        self.case = CASES.get(name, Case())
        self.is_complex = is_complex
        self.rng = np.random.default_rng(len(name))
        self.is_backward = self.op.inputs[0] == "grad_output"
        self.statements = statements(self.op.kernel.__doc__, real=not is_complex)
        first = self.statements[0].left
        self.result = first if first.is_Symbol else self.symbol("y")
        self.incoming = self.symbol(
            "incoming" if self.is_backward else f"bar {self.result.name}")
        self.letter_of = self._letters(family in LOSSES)
        self.call(refused)

    def symbol(self, name: str) -> sympy.Symbol:
        return symbol(name, not self.is_complex)

    def _letters(self, is_loss: bool) -> dict[str, str]:
        """{argument: letter}: as the case has them, else in order."""
        found = {argument: letter for letter, argument in self.case.letters.items()}
        usual = {"grad_output": f"bar {'ell' if is_loss else 'y'}", "output": "y"}
        if is_loss:
            usual |= {"input": "x", "target": "y", "weight": "w"}
        letters = iter("abc")
        for argument in self.op.inputs:
            if argument not in found:
                found[argument] = usual.get(argument) or next(letters)
        return found | {name: name for name in self.case.values if name not in found}

    def call(self, refused: bool) -> None:
        """Gradients are wanted where there are rules; or, if `refused`, where those only raise."""
        domain = self.case.domain
        arguments, self.tensors, at = [], {}, {}
        for name in self.op.inputs:
            points = self.points(domain.get(name, (-2, 2)) if isinstance(domain, dict) else domain)
            if name == self.case.number:
                points = np.full(COUNT, 1.3)
                arguments.append(1.3)
            elif name == "value":  # of masked_fill: one for all
                points = np.full(COUNT, 1.3)
                arguments.append(minigrad.tensor(1.3, dtype=minigrad.float64))
            else:
                arguments.append(minigrad.tensor(points))
            if isinstance(arguments[-1], minigrad.Tensor) and any(
                    name in group for group in self.op.rules):
                self.tensors[name] = arguments[-1].requires_grad_(
                    (name in self.case.refused) == refused)
            at[self.letter_of[name]] = points
        values = {name: minigrad.tensor(each) if isinstance(each, np.ndarray) else each
                  for name, each in self.case.values.items()}
        self.output = self.function(*arguments, **values)
        self.weight = self.points((-2, 2), self.output.is_complex())
        at[self.result.name] = self.output.detach().numpy()
        at[self.incoming.name] = self.weight
        for name, value in self.case.values.items():
            if isinstance(value, int | float | np.ndarray):
                at[self.letter_of[name]] = np.broadcast_to(value, COUNT)
        self.at = {self.symbol(letter): points.tolist() for letter, points in at.items()}

    def points(self, domain: Any, is_complex: bool | None = None) -> np.ndarray:
        if domain == "bool":
            return self.rng.random(COUNT) < 0.5
        found = self.rng.uniform(*domain, COUNT)
        if self.is_complex if is_complex is None else is_complex:
            found = found + 1j * self.rng.uniform(-1, 1, COUNT)
        return found

    def gradients(self) -> dict[str, np.ndarray]:
        inputs = {name: each for name, each in self.tensors.items() if each.requires_grad}
        if not inputs:
            return {}
        gradients = minigrad.autograd.grad(
            self.output, list(inputs.values()), minigrad.tensor(self.weight))
        return {name: each.numpy() for name, each in zip(inputs, gradients, strict=True)}

    def same(self, found: Any, expression: Any, what: str) -> None:
        expected = np.array(numbers_of(expression, self.at))
        if np.asarray(found).dtype.kind != "c":
            expected = expected.real
        if np.ndim(found) == 0:
            expected = expected.sum()
        np.testing.assert_allclose(found, expected, self.case.rtol, 1e-12,
                                   err_msg=f"{what}: {expression}")


def run(trial: Trial) -> None:
    """The output, the derivatives and the gradients stated."""
    gradients = trial.gradients()
    for left, right in trial.statements:
        name = {f"bar {letter}": argument for argument, letter in trial.letter_of.items()}.get(
            left.name) if left.is_Symbol and left != trial.result else None
        if name is not None:
            trial.same(gradients[name], right, f"gradient of {name}")
            continue
        value = np.array(trial.at[trial.result])
        if left == trial.result:
            trial.same(value, right, "result")
        else:
            trial.same(numbers_of(left, trial.at), right, "result")
        if trial.is_complex and right.has(*NOT_ANALYTIC):
            continue
        for argument, gradient in gradients.items():
            letter = trial.symbol(trial.letter_of[argument])
            slope = sympy.diff(right, letter) / sympy.diff(left, trial.result)
            if trial.is_complex or trial.output.is_complex():
                slope = sympy.Function("Star")(slope)
            trial.same(gradient, trial.incoming * slope, f"derivative in {argument}")


@pytest.mark.parametrize("name", CHECKED)
def test_formula(name):
    run(Trial(name))


@pytest.mark.parametrize("name", [name for name in CHECKED
                                  if "^*" in POINTWISE[name].op.kernel.__doc__])
def test_formula_in_complex_numbers(name):
    run(Trial(name, is_complex=True))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.refused])
def test_missing_derivatives(name):
    with pytest.raises((RuntimeError, NotImplementedError), match="is not implemented"):
        Trial(name, refused=True).gradients()


@pytest.mark.parametrize("wrong", [
    r"$y = \cos a$, so $\bar a = \bar y\,(\cos a)^*$.",
    r"$y = \sin a$, so $\bar a = \bar y\,\sin a$.",
    r"$y = \sin a + 10^{-8}$."])
def test_a_wrong_formula_is_noticed(wrong, monkeypatch):
    monkeypatch.setattr(minigrad.sin.op.kernel, "__doc__", wrong)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        run(Trial("pointwise.sin"))


@pytest.mark.parametrize("formula", [r"a +", r"\frac{a}", r"a \le b", "(a", "a)", r"\mathrm{d"])
def test_what_is_no_formula(formula):
    with pytest.raises(ValueError):
        statements(f"${formula}$")
