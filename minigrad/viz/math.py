r"""The TeX of the docstrings as MathML, which browsers draw without help.

    to_mathml(r"\bar a = \bar y\,b^*")  ->  <math><mover>...

`TexError` says what was not understood; `text_to_html` then shows the TeX itself. It is a subset of
TeX's mathematics: scripts, fractions, roots, accents, Greek letters, operators, stretched
delimiters, and matrices.
"""

from __future__ import annotations

import html
import re

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε",
    "zeta": "ζ", "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ",
    "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ",
    "phi": "ϕ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ",
    "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}
LETTERS = {**GREEK, "ell": "ℓ", "infty": "∞", "partial": "∂", "nabla": "∇"}
FUNCTIONS = {"arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "det", "exp", "ln", "log",
             "max", "min", "sin", "sinh", "tan", "tanh", "lim", "sup", "inf"}
LIMITS = {"max", "min", "det", "lim", "sup", "inf"}  # what is below them stands below them
LARGE = {"sum": "∑", "prod": "∏", "int": "∫"}
BINARY = {"+": "+", "-": "−", "cdot": "⋅", "times": "×", "pm": "±", "mp": "∓", "star": "⋆",
          "circ": "∘", "odot": "⊙", "*": "∗"}
RELATIONS = {"=": "=", "<": "<", ">": ">", ":": ":", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥",
             "ne": "≠", "neq": "≠", "in": "∈", "notin": "∉", "approx": "≈", "sim": "∼", "to": "→",
             "propto": "∝", "leftarrow": "←", "rightarrow": "→", "subset": "⊂"}
OPEN = {"(": "(", "[": "[", "\\{": "{", "lfloor": "⌊", "lceil": "⌈", "langle": "⟨"}
CLOSE = {")": ")", "]": "]", "\\}": "}", "rfloor": "⌋", "rceil": "⌉", "rangle": "⟩"}
BARS = {"|": "|", "\\|": "‖"}
DOTS = {"cdots": "⋯", "ldots": "…", "dots": "…"}
ACCENTS = {"bar": "¯", "hat": "^", "tilde": "~", "dot": "˙", "vec": "→", "overline": "¯"}
SPACES = {"\\,": "0.167em", "\\:": "0.222em", "\\;": "0.278em", "\\ ": "0.333em",
          "\\!": "-0.167em", "quad": "1em", "qquad": "2em"}

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
NUMBER = re.compile(r"[0-9]")
THIN = '<mspace width="0.167em"/>'


class TexError(ValueError):
    """TeX beyond the subset."""


def text_to_html(text: str) -> str:
    """Prose with $formulas$ and `code`; a formula that is not understood is shown as it is."""
    pieces = []
    for piece in re.split(r"(\$\$.+?\$\$|\$[^$]+\$|``.+?``|`[^`]+`)", text, flags=re.DOTALL):
        if piece.startswith("$"):
            tex = piece.strip("$")
            try:
                pieces.append(to_mathml(tex, display=piece.startswith("$$")))
            except TexError:
                pieces.append(f"<code>{html.escape(tex)}</code>")
        elif piece.startswith("`"):
            pieces.append(f"<code>{html.escape(piece.strip('`'))}</code>")
        else:
            pieces.append(html.escape(piece, quote=False))
    return "".join(pieces)


def to_mathml(tex: str, display: bool = False) -> str:
    """One formula."""
    parser = _Parser(tex)
    row = parser.row(())
    if parser.peek():
        raise TexError(f"unexpected {parser.peek()} in {tex!r}")
    style = ' display="block"' if display else ""
    return f"<math{style}>{row}</math>"


class _Parser:
    """Reads tokens from left to right; each method returns MathML for what it has read."""

    def __init__(self, tex: str) -> None:
        self.tokens: list[str] = [token for token in TOKEN.findall(tex) if not token.isspace()]
        self.place = 0
        self.tex = tex

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        if not token:
            raise TexError(f"{self.tex!r} ends too early")
        self.place += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise TexError(f"no {token} where one belongs in {self.tex!r}")

    # --- rows ------------------------------------------------------------------------------------

    def row(self, ends: tuple[str, ...]) -> str:
        """Everything up to one of `ends`, in one <mrow>.

        `before` is the kind of what stands to the left, as in TeX: an operator such as `ln` keeps
        a thin space from a letter, and a minus after a relation is a sign.
        """
        found: list[str] = []
        before = "start"
        while self.peek() and self.peek() not in ends:
            markup, kind = self.item(before)
            if kind == "space":
                found.append(markup)
                before = "start" if before == "start" else "space"
                continue
            if (kind == "function" and before in ("letter", "close", "function")
                    or before == "function" and kind == "letter"):
                found.append(THIN)
            found.append(markup)
            before = kind
        return found[0] if len(found) == 1 else f"<mrow>{''.join(found)}</mrow>"

    def item(self, before: str) -> tuple[str, str]:
        """One atom with its scripts, and its kind."""
        markup, kind = self.atom(before)
        limits = kind in ("limits", "sum")
        below = above = ""
        primes = ""
        while self.peek() in ("_", "^", "'"):
            mark = self.take()
            if mark == "'":
                primes += "′"
            elif mark == "_":
                below = self.argument()
            else:
                above = self.argument()
        if primes:
            above = f'<mrow><mo lspace="0" rspace="0">{primes}</mo>{above}</mrow>'
        if kind in ("limits", "integral", "sum"):
            kind = "function"
        if below and above:
            tag = "munderover" if limits else "msubsup"
            return f"<{tag}>{markup}{below}{above}</{tag}>", kind
        if below:
            tag = "munder" if limits else "msub"
            return f"<{tag}>{markup}{below}</{tag}>", kind
        if above:
            tag = "mover" if limits and kind != "function" else "msup"
            return f"<{tag}>{markup}{above}</{tag}>", kind
        return markup, kind

    def argument(self) -> str:
        """What a script, a fraction or a root applies to: a group, or one token."""
        if self.peek() == "{":
            self.take()
            inner = self.row(("}",))
            self.expect("}")
            return inner
        if NUMBER.fullmatch(self.peek()):
            return f"<mn>{self.take()}</mn>"
        return self.atom("start")[0]

    # --- atoms -----------------------------------------------------------------------------------

    def atom(self, before: str) -> tuple[str, str]:
        token = self.take()
        name = token.removeprefix("\\")
        if token == "{":
            inner = self.row(("}",))
            self.expect("}")
            return f"<mrow>{inner}</mrow>", "letter"
        if NUMBER.fullmatch(token):
            return self.number(token), "letter"
        if token in SPACES or name in SPACES and token != name:
            return f'<mspace width="{SPACES.get(token) or SPACES[name]}"/>', "space"
        if len(token) == 1 and token.isalpha():
            return f"<mi>{token}</mi>", "letter"
        if token.startswith("\\") and name in _COMMANDS:
            return _COMMANDS[name](self, name), "letter"
        if token.startswith("\\") and name.isalpha():
            return self.symbol(name, before)
        return self.mark(token, before)

    def number(self, first: str) -> str:
        digits = first
        while NUMBER.fullmatch(self.peek()) or (
                self.peek() == "." and "." not in digits and self.place + 1 < len(self.tokens)
                and NUMBER.fullmatch(self.tokens[self.place + 1])):
            digits += self.take()
        return f"<mn>{digits}</mn>"

    def symbol(self, name: str, before: str) -> tuple[str, str]:
        """A command that takes no arguments."""
        if name in LETTERS:
            upright = ' mathvariant="normal"' if name[0].isupper() or name == "infty" else ""
            return f"<mi{upright}>{LETTERS[name]}</mi>", "letter"
        if name in FUNCTIONS:
            return f"<mi>{name}</mi>", "limits" if name in LIMITS else "function"
        if name in LARGE:
            return (f'<mo movablelimits="true">{LARGE[name]}</mo>',
                    "integral" if name == "int" else "sum")
        if name in DOTS:
            return f"<mi>{DOTS[name]}</mi>", "letter"
        return self.mark(name, before)

    def mark(self, token: str, before: str) -> tuple[str, str]:
        """Operators, relations, delimiters, punctuation."""
        sign = before in ("start", "binary", "relation", "open", "function")
        if token in BINARY:
            form = ' form="prefix"' if sign else ""
            return f"<mo{form}>{BINARY[token]}</mo>", "binary"
        if token in RELATIONS:
            return f"<mo>{html.escape(RELATIONS[token])}</mo>", "relation"
        if token in OPEN:
            return f'<mo stretchy="false">{OPEN[token]}</mo>', "open"
        if token in CLOSE:
            return f'<mo stretchy="false">{CLOSE[token]}</mo>', "close"
        if token in BARS:
            bar = f'<mo stretchy="false" lspace="0" rspace="0">{BARS[token]}</mo>'
            return bar, "open" if sign else "close"
        if token == "/":
            return '<mo lspace="0.05em" rspace="0.05em">/</mo>', "open"
        if token in ",;":
            return f"<mo>{token}</mo>", "open"
        if token in ".!":
            return f'<mo lspace="0" rspace="0">{token}</mo>', "close"
        raise TexError(f"{token} is not known, in {self.tex!r}")

    # --- commands with arguments -----------------------------------------------------------------

    def fraction(self, name: str) -> str:
        return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"

    def root(self, name: str) -> str:
        return f"<msqrt>{self.argument()}</msqrt>"

    def accent(self, name: str) -> str:
        stretchy = "true" if name == "overline" else "false"
        over = f'<mo stretchy="{stretchy}">{ACCENTS[name]}</mo>'
        # Not accent="true": without a font for mathematics that sets the bar into the letter.
        return f'<mover accent="false">{self.argument()}{over}</mover>'

    def upright(self, name: str) -> str:
        """Letters that are a word."""
        self.expect("{")
        word = ""
        while self.peek() != "}":
            word += self.take()
        self.take()
        style = ' class="sans"' if name == "mathsf" else ""
        return f'<mi mathvariant="normal"{style}>{html.escape(word)}</mi>'

    def stretched(self, name: str) -> str:
        """\\left( ... \\right): delimiters as tall as what they hold."""
        left = self.delimiter()
        inner = self.row(("\\right",))
        self.expect("\\right")
        return f"<mrow>{left}{inner}{self.delimiter()}</mrow>"

    def delimiter(self) -> str:
        token = self.take()
        if token == ".":
            return ""
        known = {**OPEN, **CLOSE, **BARS}
        delimiter = known.get(token) or known.get(token.removeprefix("\\"))
        if delimiter is None:
            raise TexError(f"{token} is not a delimiter, in {self.tex!r}")
        return f'<mo stretchy="true">{delimiter}</mo>'

    def environment(self, name: str) -> str:
        kind = self.braced()
        fences = {"matrix": ("", ""), "pmatrix": ("(", ")"), "bmatrix": ("[", "]"),
                  "cases": ("{", "")}
        if kind not in fences:
            raise TexError(f"the environment {kind} is not known, in {self.tex!r}")
        rows, cells = [], []
        while True:
            cells.append(f"<mtd>{self.row(('&', chr(92) * 2, chr(92) + 'end'))}</mtd>")
            end = self.take()
            if end != "&":
                rows.append(f"<mtr>{''.join(cells)}</mtr>")
                cells = []
            if end == "\\end":
                break
        if self.braced() != kind:
            raise TexError(f"{kind} does not end, in {self.tex!r}")
        left, right = (f"<mo>{fence}</mo>" if fence else "" for fence in fences[kind])
        return f"<mrow>{left}<mtable>{''.join(rows)}</mtable>{right}</mrow>"

    def braced(self) -> str:
        self.expect("{")
        word = ""
        while self.peek() != "}":
            word += self.take()
        self.take()
        return word


_COMMANDS = {
    **dict.fromkeys(("frac", "tfrac", "dfrac"), _Parser.fraction),
    **dict.fromkeys(ACCENTS, _Parser.accent),
    **dict.fromkeys(("mathrm", "mathsf", "text", "operatorname"), _Parser.upright),
    "sqrt": _Parser.root, "left": _Parser.stretched, "begin": _Parser.environment,
}
