"""einsum: any sum of products of elements, as permutations and batched matrix products."""

from __future__ import annotations

import math
from typing import Any

from ..autocast_rules import autocasts
from ..core import TensorBase

__all__ = ["einsum"]

# Note [How einsum works]
# ~~~~~~~~~~~~~~~~~~~~~~~
# Every label gets one dimension: first the output's labels, then those that are summed over. Each
# operand is permuted into that order, with size 1 where it lacks a label, so that all operands
# broadcast. Then they are multiplied from left to right. A summed label disappears with the last
# product of two operands that have it, or is summed ahead of the product if only one still has it.
# A product with labels to sum is a single bmm: labels of both that stay are the batch, labels of
# one are its rows or columns, summed labels of both are the inner dimension.


@autocasts
def einsum(equation: str, *operands: Any) -> Any:
    """`einsum("ik,kj->ij", a, b)`: products of elements with equal labels, summed over the labels
    that the output lacks. Without `->` the output has the labels that occur once, in order."""
    if len(operands) == 1 and not isinstance(operands[0], TensorBase):
        operands = tuple(operands[0])
    inputs, output, summed = _parse(equation, operands)
    order = [*output, *summed]
    aligned = [_aligned(operand, labels, order, number)
               for number, (operand, labels) in enumerate(zip(operands, inputs, strict=True))]
    _check_sizes(aligned, order)
    result, *others = aligned
    if summed and not others:
        return result.sum(tuple(range(len(output), len(order))))
    holders = {dim: sum(each._data.shape[dim] != 1 for each in aligned)
               for dim in range(len(output), len(order))}
    for operand in others:
        result = _multiplied(result, operand, holders)
    return result.view(result._data.shape[:len(output)]) if summed else result


def _parse(equation: str, operands: tuple) -> tuple[list[list[str]], list[str], list[str]]:
    """The labels of each operand, of the output, and of what is summed over; "..." becomes labels
    that are numbers."""
    equation = equation.replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) < len(operands):
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    if len(terms) > len(operands):
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    spans = []
    for number, (term, operand) in enumerate(zip(terms, operands, strict=True)):
        named = len(term.replace("...", ""))
        ndim = operand._data.ndim
        if "..." not in term and named != ndim or named > ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) "
                f"{'does not match' if '...' not in term else 'is more than'} the number of "
                f"dimensions ({ndim}) for operand {number}"
                + (" and no ellipsis was given" if "..." not in term else ""))
        spans.append(ndim - named)
    widest = max((span for term, span in zip(terms, spans, strict=True) if "..." in term),
                 default=0)
    inputs = [_labels(term, span, widest) for term, span in zip(terms, spans, strict=True)]
    every = [label for labels in inputs for label in labels]
    spread = [str(i) for i in range(widest)]
    letters = sorted({label for label in every if label.isalpha()})
    if not arrow:
        output = spread + [label for label in letters if every.count(label) == 1]
    else:
        output = _labels(right, widest, widest)
        for label in output:
            if output.count(label) > 1:
                raise RuntimeError(f"einsum(): output subscript {label} appears more than once in "
                                   "the output")
            if not any(label in labels for labels in inputs):
                raise RuntimeError(f"einsum(): output subscript {label} does not appear in the "
                                   "equation for any input operand")
    return inputs, output, [label for label in letters + spread if label not in output]


def _labels(term: str, span: int, widest: int) -> list[str]:
    before, dots, after = term.partition("...")
    for label in before + after:
        if not label.isalpha():
            raise RuntimeError("einsum(): invalid subscript given at index "
                               f"{term.index(label)} in the equation string, subscripts must be "
                               "in [a-zA-Z]")
    inner = [str(i) for i in range(widest - span, widest)] if dots else []
    return [*before, *inner, *after]


def _aligned(operand: Any, labels: list[str], order: list[str], number: int) -> Any:
    """The operand with one dimension for each label of `order`. A label that it has twice means
    its diagonal; one that it lacks, size 1."""
    own: list[str] = []
    for label in labels:
        if label not in own:
            own.append(label)
            continue
        first, second = own.index(label), len(own)
        size, other = operand._data.shape[first], operand._data.shape[second]
        if size != other:
            raise RuntimeError(
                f"einsum(): subscript {label} is repeated for operand {number} but the sizes don't "
                f"match, {other} != {size}")
        operand = operand.diagonal(0, first, second).movedim(-1, first)
    for label in order:
        if label not in own:
            operand = operand.unsqueeze(len(own))
            own.append(label)
    return operand.permute([own.index(label) for label in order])


def _check_sizes(operands: list, order: list[str]) -> None:
    for place, label in enumerate(order):
        seen = 1
        for number, operand in enumerate(operands):
            size = operand._data.shape[place]
            if seen != 1 and size not in (1, seen):
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {size} for operand {number} which does "
                    f"not broadcast with previously seen size {seen}")
            seen = max(seen, size) if size else 0


def _multiplied(left: Any, right: Any, holders: dict[int, int]) -> Any:
    """The product of two aligned operands. `holders` counts for each dim that is to be summed the
    operands that still have it; the dims that end here are summed, and kept as size 1."""
    a, b = left._data.shape, right._data.shape
    inner: list[int] = []
    left_alone: list[int] = []
    right_alone: list[int] = []
    for dim, count in holders.items():
        if a[dim] != 1 and b[dim] != 1:
            holders[dim] = count - 1
            if count == 2:
                inner.append(dim)
                holders[dim] = 0
        elif count == 1 and not a[dim] == b[dim] == 1:
            (left_alone if a[dim] != 1 else right_alone).append(dim)
            holders[dim] = 0
    if left_alone:
        left = left.sum(left_alone, True)
    if right_alone:
        right = right.sum(right_alone, True)
    return _contracted(left, right, inner) if inner else left * right


def _contracted(left: Any, right: Any, inner: list[int]) -> Any:
    """The product summed over the dims `inner`, which both have, as one bmm."""
    a, b = left._data.shape, right._data.shape
    rest = [dim for dim in range(len(a)) if dim not in inner]
    batch = [dim for dim in rest if a[dim] != 1 and b[dim] != 1]
    rows = [dim for dim in rest if a[dim] != 1 and b[dim] == 1]
    columns = [dim for dim in rest if a[dim] == 1]
    if rows and columns and columns[-1] < rows[0]:
        return _contracted(right, left, inner)  # so that the result comes out in order
    left = left.permute([*batch, *rows, *inner, *columns]).reshape(
        _product(a, batch), _product(a, rows), _product(a, inner))
    right = right.permute([*batch, *inner, *columns, *rows]).reshape(
        _product(b, batch), _product(b, inner), _product(b, columns))
    sizes = [a[dim] for dim in (*batch, *rows)] + [1] * len(inner) + [b[dim] for dim in columns]
    places = [*batch, *rows, *inner, *columns]
    back = [places.index(dim) for dim in range(len(a))]
    return left.bmm(right).view(sizes).permute(back)


def _product(shape: tuple[int, ...], dims: list[int]) -> int:
    return math.prod(shape[dim] for dim in dims)
