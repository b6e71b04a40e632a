"""print(tensor), character for character."""

from __future__ import annotations

import itertools

import pytest

from parity_tests.harness import candidate

REALS = {
    "one": "torch.tensor(2.5)", "none": "torch.tensor([])", "nothing": "torch.zeros(0, 3)",
    "ints": "torch.tensor([1.0, 2.0, 300.0])", "mixed": "torch.tensor([1.5, -0.25, 1000.125])",
    "small": "torch.tensor([1e-5, 1.0])", "large": "torch.tensor([1e9, 1.0])",
    "huge": "torch.tensor([1e30, -1e-30, 3.0])", "special": "torch.tensor([nan, inf, -inf, -0.0])",
    "special_ints": "torch.tensor([nan, 1.0, 2.0])", "matrix": "torch.arange(12.0).view(3, 4) / 7",
    "cube": "torch.arange(24.0).view(2, 3, 4) - 11", "big": "torch.arange(2000.0)",
    "big_matrix": "torch.arange(10000.0).view(100, 100) / 3",
    "big_cube": "torch.arange(8000.0).view(20, 20, 20)",
    "long_line": "torch.arange(40.0) * 1.5", "wide": "torch.arange(60.0).view(2, 30)",
    "tiny": "torch.full((3,), 1e-8)", "constant": "torch.full((2, 2), 3.14159265)",
    "transposed": "torch.arange(6.0).view(2, 3).t()", "expanded": "torch.ones(1, 3).expand(2, 3)",
}
OTHERS = [
    *(f"torch.tensor([[0, 1, 100], [-3, 4, 5]]).to(torch.{kind})"
      for kind in ("int64", "int32", "int16", "int8")),
    "torch.tensor([1, 2], dtype=torch.uint8)", "torch.tensor([True, False])", "torch.tensor(True)",
    "torch.tensor(7)", "torch.arange(1500)", "torch.zeros(0, dtype=torch.int64)",
    "torch.tensor([1 + 2j, -0.5j])", "torch.tensor([[1e6 + 1j, 2.5 - 3.25j]])",
    "torch.tensor(1j, dtype=torch.complex128)", "torch.ones(2, requires_grad=True)",
    "torch.ones(2, requires_grad=True) * 2", "(torch.ones(2, requires_grad=True) * 2).sum()",
    "torch.ones(2, 2, requires_grad=True).t()", "torch.nn.Parameter(torch.ones(2))",
    "torch.ones(2, dtype=torch.float64, requires_grad=True).exp()", "torch.Size([2, 3])",
    "torch.float32", "torch.device('cpu')", "torch.ones(2, 3).shape", "torch.finfo(torch.float32)",
    "torch.iinfo(torch.int8)", "torch.ones(3).max(0)", "torch.ones(2, 2).sort()",
    "torch.nn.Linear(2, 3)", "torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Dropout(0.5))",
]
OPTIONS = [
    {}, {"precision": 2}, {"precision": 8}, {"threshold": 5}, {"edgeitems": 1, "threshold": 5},
    {"linewidth": 40}, {"sci_mode": True}, {"sci_mode": False}, {"profile": "short"},
]
FORMATS = ["", ".3f", ".2e", "8.1f", "d", ">10", "x"]


def scope(torch):
    return {"torch": torch, "nan": float("nan"), "inf": float("inf")}


def on_the_cpu(text):
    """Printed on another device, a tensor says so."""
    return text.replace(", device='cuda:0'", "")


def same(show):
    import torch

    assert on_the_cpu(show(candidate())) == show(torch)


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", REALS)
def test_reals(name, kind):
    same(lambda torch: str(eval(REALS[name], scope(torch)).to(getattr(torch, kind))))


@pytest.mark.parametrize("code", OTHERS)
def test_others(code):
    def show(torch):
        torch.manual_seed(0)
        return repr(eval(code, scope(torch)))

    same(show)


@pytest.mark.parametrize(("name", "number"),
                         itertools.product(["matrix", "big", "huge", "special", "long_line"],
                                           range(len(OPTIONS))))
def test_options(name, number):
    def show(torch):
        torch.set_printoptions(profile="default")
        try:
            torch.set_printoptions(**OPTIONS[number])
            return str(eval(REALS[name], scope(torch)))
        finally:
            torch.set_printoptions(profile="default")

    same(show)


@pytest.mark.parametrize("spec", FORMATS)
@pytest.mark.parametrize("code", ["torch.tensor(2.5)", "torch.tensor(7)", "torch.tensor([1.5])",
                                  "torch.ones(2)", "torch.tensor(True)", "torch.tensor(1 + 2j)"])
def test_formats(code, spec):
    def show(torch):
        try:
            return format(eval(code, scope(torch)), spec)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    same(show)
