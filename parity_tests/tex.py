r"""The formulas of docstrings, read: TeX, as far as minigrad's docstrings use it, as sympy.

    statements(r"$y = \sqrt a$, so $\bar a = \bar y / (2 y^*)$.")
    -> [Statement(left=y, right=sqrt(a)), Statement(left=bar a, right=bar y/(2*Star(y)))]

A formula stands between dollars. "$y = A$ for $c$, else $B$" is one statement with two cases, and
"with $d = A$" says what a letter means in the others. All else is prose.
"""

from __future__ import annotations

import functools
import inspect
import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import sympy

TOKEN = re.compile(r"\\[a-zA-Z]+|\\[{}]|\d+(?:\.\d+)?|[^\s\\]")
SPACE = re.compile(r"\\[,;! ]|\\(left|right|big|Big)(?![a-zA-Z])|~")


# --- functions that are constant between jumps, or not analytic -----------------------------------

class _Flat(sympy.Function):
    """A function whose derivative is 0 wherever it has one."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.Integer(0)


class Floor(_Flat):
    nargs = 1


class Ceil(_Flat):
    nargs = 1


class Trunc(_Flat):
    nargs = 1


class Round(_Flat):
    nargs = 1


class Sgn(_Flat):
    nargs = 1


class Arg(sympy.Function):
    """The angle of $x + iy$, as a function of the real x and y."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> Any:
        x, y = self.args
        return (-y if argindex == 1 else x) / (x ** 2 + y ** 2)


class Star(sympy.Function):
    """The conjugate, which on the real line is the number itself."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.Integer(1)


NUMERIC: dict[str, Callable] = {
    "Floor": mpmath.floor, "Ceil": mpmath.ceil, "Round": mpmath.nint, "Star": mpmath.conj,
    "Trunc": lambda x: mpmath.floor(x) if x > 0 else mpmath.ceil(x), "Sgn": mpmath.sign,
    "Arg": lambda x, y: mpmath.atan2(y, x),
}
NOT_ANALYTIC = (_Flat, Star, Arg, sympy.Abs, sympy.sign, sympy.Piecewise)


def numbers_of(expression: Any, values: dict[Any, list]) -> list:
    """The expression's values, to 30 digits, where its symbols have these values."""
    with mpmath.workdps(30):
        compute = sympy.lambdify(list(values), expression, modules=[NUMERIC, "mpmath"])
        return [complex(mpmath.mpmathify(compute(*row)))
                for row in zip(*values.values(), strict=True)]


# --- what names mean ------------------------------------------------------------------------------

def _larger(a: Any, b: Any) -> Any:
    return sympy.Piecewise((a, a >= b), (b, True))


def _smaller(a: Any, b: Any) -> Any:
    return sympy.Piecewise((a, a <= b), (b, True))


def _angle(z: Any) -> Any:
    real = z.subs(sympy.I, 0)
    return Arg(real, sympy.expand((z - real) / sympy.I))


FUNCTIONS: dict[str, Callable] = {
    "ln": sympy.log, "max": _larger, "min": _smaller, "trunc": Trunc, "round": Round, "sgn": Sgn,
    "arg": _angle, "sigma": lambda x: 1 / (1 + sympy.exp(-x)), "psi": sympy.digamma,
    "Phi": lambda x: (1 + sympy.erf(x / sympy.sqrt(2))) / 2, "Gamma": sympy.gamma,
    "zeta": sympy.zeta, "I_0": lambda x: sympy.besseli(0, x), "I_1": lambda x: sympy.besseli(1, x),
    "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan, "arsinh": sympy.asinh,
    "arcosh": sympy.acosh, "artanh": sympy.atanh, "erf": sympy.erf, "erfc": sympy.erfc,
    **{name: getattr(sympy, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
}
OVER: dict[str, Callable] = {"sum": operator.add, "prod": operator.mul, "max": _larger,
                             "min": _smaller}
CONSTANTS = {"e": sympy.E, "pi": sympy.pi, "i": sympy.I, "infty": sympy.oo}
RELATIONS = {"<": sympy.Lt, ">": sympy.Gt, "le": sympy.Le, "ge": sympy.Ge, "=": sympy.Eq,
             "ne": sympy.Ne}


def symbol(name: str, real: bool = True) -> sympy.Symbol:
    """The variable of that name: `a`, `alpha`, `bar y`."""
    return sympy.Symbol(name, real=True if real else None)


class Statement(NamedTuple):
    """left = right."""

    left: Any
    right: Any


# --- reading one formula --------------------------------------------------------------------------

class Formula:
    """A parser by recursive descent; `chain()` gives all sides of a = b < c and the signs."""

    def __init__(self, text: str, meanings: dict[str, Any], real: bool = True,
                 indices: dict[str, int] | None = None, count: int = 0) -> None:
        self.tokens = TOKEN.findall(SPACE.sub(" ", text))
        self.at = 0
        self.real = real
        self.indices = indices or {}  # what i in $a_i$ stands for
        self.count = count            # how many elements there are
        self.meanings = meanings
        self.letter_of_integral = 0

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place].lstrip("\\") if place < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if not token or expected is not None and token != expected:
            raise ValueError(f"expected {expected or 'more'}, found {token or 'the end'} in "
                             f"{' '.join(self.tokens)}")
        self.at += 1
        return token

    def chain(self) -> tuple[list, list[str]]:
        sides, signs = [self.sum()], []
        while self.peek() in RELATIONS:
            signs.append(self.take())
            sides.append(self.sum())
        return sides, signs

    def whole(self) -> tuple[list, list[str]]:
        found = self.chain()
        if self.peek():
            raise ValueError(f"{self.peek()} is not understood in {' '.join(self.tokens)}")
        return found

    def condition(self) -> Any:
        """a < b < c; or a letter, which holds where it is not 0."""
        sides, signs = self.chain()
        if not signs:
            return sympy.Ne(sides[0], 0)
        return sympy.And(*[RELATIONS[sign](a, b) for sign, a, b in zip(
            signs, sides, sides[1:], strict=False)])

    def sum(self) -> Any:
        total = self.product() if self.peek() not in "+-" or not self.peek() else sympy.Integer(0)
        while self.peek() in ("+", "-"):
            sign = self.take()
            total = total + self.product() if sign == "+" else total - self.product()
        return total

    def product(self) -> Any:
        result = self.power()
        while True:
            if self.peek() in ("/", "cdot"):
                sign = self.take()
                result = result / self.power() if sign == "/" else result * self.power()
            elif self.begins_a_factor():
                result = result * self.power()
            else:
                return result

    def begins_a_factor(self) -> bool:
        token = self.peek()
        if self.letter_of_integral and token == "d" and self.peek(1).isalpha():
            return False
        return token in ("(", "{", "[", "lfloor", "lceil") or token[:1].isalnum() \
            and token not in RELATIONS and token not in ("rfloor", "rceil", "cdot") \
            or token == "|" and not self.inside_bars

    inside_bars = False

    def power(self) -> Any:
        result = self.atom()
        while self.peek() == "^":
            result = self.raised(result)
        return result

    def raised(self, base: Any) -> Any:
        self.take("^")
        if self.peek() == "*":
            self.take()
            return Star(base)
        return base ** self.argument()

    def argument(self) -> Any:
        """What \\frac, ^ and _ take: a group, or one token."""
        if self.peek() == "{":
            return self.between("{", "}")
        token = self.peek()
        if token.isdigit() and len(token) > 1:  # \frac12 is one half
            self.tokens[self.at] = token[1:]
            return sympy.Integer(token[0])
        return self.atom()

    def between(self, opening: str, closing: str) -> Any:
        self.take(opening)
        before, self.inside_bars = self.inside_bars, opening == "|"
        result = self.sum()
        self.inside_bars = before
        self.take(closing)
        return result

    def atom(self) -> Any:
        token = self.peek()
        if token in ("(", "{"):
            return self.between(token, ")" if token == "(" else "}")
        if token == "|":
            return sympy.Abs(self.between("|", "|"))
        if token in ("lfloor", "lceil"):
            step = Floor if token == "lfloor" else Ceil
            return step(self.between(token, f"r{token[1:]}"))
        if token == "[":
            self.take()
            holds = self.condition()
            self.take("]")
            return sympy.Piecewise((1, holds), (0, True))
        self.take()
        if token in ("frac", "tfrac"):
            above = self.argument()
            return above / self.argument()
        if token == "sqrt":
            return sympy.sqrt(self.argument())
        if token == "int":
            return self.integral()
        if token in OVER and self.peek() == "_":
            return self.over_elements(token) if self.count else self.finite_sum()
        if token == "log":
            self.take("_")
            base = self.argument()
            return sympy.log(self.operand()) / sympy.log(base)
        if token == "bar":
            return self.meaning(f"bar {self.take()}{self.subscript()}")
        if token[0].isdigit():
            return sympy.Rational(token)
        return self.named(token)

    def named(self, token: str) -> Any:
        if token in ("mathrm", "operatorname"):
            self.take("{")
            token = ""
            while self.peek() != "}":
                token += self.take()
            self.take("}")
        token += self.subscript()
        function = self.meanings.get(token) if callable(self.meanings.get(token)) \
            else FUNCTIONS.get(token)
        return self.meaning(token) if function is None else self.applied(token, function)

    def subscript(self) -> str:
        if self.peek() != "_":
            return ""
        self.take()
        if self.peek() in self.indices:
            return f"_{self.indices[self.take()]}"
        return f"_{self.argument()}"

    def applied(self, name: str, function: Callable) -> Any:
        """\\ln x, \\Phi'(x), \\psi^{(n)}(x)."""
        if self.peek() == "'":
            self.take()
            x = sympy.Dummy(real=True)
            return sympy.diff(function(x), x).subs(x, self.operand())
        if name == "psi" and self.peek() == "^":
            self.take()
            order = self.argument()
            return sympy.polygamma(order, self.operand())
        if self.peek() == "(":
            return function(*self.list_of_arguments())
        return function(self.operand())

    def list_of_arguments(self) -> list:
        self.take("(")
        before, self.inside_bars = self.inside_bars, False
        found = [self.sum()]
        while self.peek() == ",":
            self.take()
            found.append(self.sum())
        self.inside_bars = before
        self.take(")")
        return found

    def operand(self) -> Any:
        """The operand of a function without parentheses: factors, up to the next sign."""
        if self.peek() in ("(", "|"):
            return self.power()
        result = self.power()
        while self.begins_a_factor() and self.peek() not in ("(", "[") \
                and self.peek() not in FUNCTIONS:
            result = result * self.power()
        return result

    def integral(self) -> Any:
        self.take("_")
        low = self.argument()
        self.take("^")
        high = self.argument()
        self.letter_of_integral += 1
        body = self.sum()
        self.letter_of_integral -= 1
        self.take("d")
        return sympy.Integral(body, (self.meaning(self.take()), low, high))

    def finite_sum(self) -> Any:
        r"""\sum_{i<n}."""
        self.take("_")
        self.take("{")
        name = self.take()
        self.take("<")
        end = self.sum()
        self.take("}")
        outside, index = self.meanings, sympy.Symbol(name, integer=True)
        self.meanings = {**outside, name: index}
        body = self.product()
        self.meanings = outside
        return sympy.Sum(body, (index, 0, end - 1))

    def over_elements(self, token: str) -> Any:
        r"""\sum_i, \prod_{j \ne i}, \max_i: written out, element by element."""
        self.take("_")
        grouped = self.peek() == "{"
        start, outside = self.at + grouped, self.indices
        found = []
        for value in range(self.count):
            self.at = start
            self.indices = {**outside, self.peek(): value}
            holds = True
            if grouped:
                holds = self.condition() if self.peek(1) in RELATIONS else bool(self.take())
                self.take("}")
            else:
                self.take()
            body = self.product()
            if holds:
                found.append(body)
        self.indices = outside
        return functools.reduce(OVER[token], found)

    def meaning(self, name: str) -> Any:
        if name in self.indices:
            return sympy.Integer(self.indices[name])
        if name in self.meanings:
            return self.meanings[name]
        return CONSTANTS.get(name) or symbol(name, self.real)


# --- reading a docstring --------------------------------------------------------------------------

CASE = re.compile(r"^\s*(?:for|where)\s*$")
ELSE = re.compile(r"^(?: holds)?, else\s*$")
RESULT = re.compile(r"(\\bar \\?\w+|y|y_i|\\ell) = ")


def statements(docstring: str, real: bool = True, count: int = 0,
               meanings: dict[str, Any] | None = None) -> list[Statement]:
    """The statements of a docstring, about real or complex variables. The first may be a bare
    expression, then its left side is `result`; the others say what y is, or the gradient of an
    input. With a `count` they are about vectors of so many elements: one statement for each i."""
    parts = re.split(r"\$([^$]+)\$", " ".join(inspect.cleandoc(docstring).split()))
    found: list[Statement] = []
    for i in range(max(count, 1)):
        indices = {"i": i} if count else {}

        def formula(text: str, known: dict, indices: dict[str, int] = indices) -> Formula:
            return Formula(text, known, real, indices, count)

        found += [each for each in _read(parts[0::2], parts[1::2], formula, dict(meanings or {}),
                                         symbol("result", real)) if each not in found]
    return found


def _read(texts: list[str], formulas: list[str], formula: Callable, known: dict[str, Any],
          result: Any) -> list[Statement]:
    for before, text in zip(texts, formulas, strict=False):
        if re.search(r"\b(with|for)\s*$", before) and re.match(r"\\?\w+ = ", text):
            sides, _ = formula(text, known).chain()
            known[str(sides[0])] = sides[1]
    found: list[Statement] = []
    at = 0
    while at < len(formulas):
        equation = RESULT.match(formulas[at])
        if equation and texts[at].rstrip().endswith(("with", "for")) or at and not equation:
            at += 1
            continue
        sides, signs = formula(formulas[at], known).whole()
        if signs != ["="] * len(signs):
            raise ValueError(f"{formulas[at]} is not an equation")
        if not signs:
            sides = [result, *sides]
        left, *rights = sides
        if CASE.match(texts[at + 1]) and at + 2 < len(formulas) and ELSE.match(texts[at + 2]):
            holds = formula(formulas[at + 1].split(" = ")[-1], known).condition()
            (other,), _ = formula(formulas[at + 2], known).whole()
            rights[-1] = sympy.Piecewise((rights[-1], holds), (other, True))
            at += 2
        found += [Statement(left, right) for right in rights]
        at += 1
    return found
