"""einsum: any sum of products of elements, as permutations and batched matrix products."""

from __future__ import annotations

import math
from typing import Any

from ..core import TensorBase

__all__ = ["einsum"]

# Note [How einsum works]
# ~~~~~~~~~~~~~~~~~~~~~~~
# Every label gets one dimension: first the output's labels, then those that are summed over. Each
# operand is permuted into that order, with size 1 where it lacks a label, so that all operands
# broadcast. Then they are multiplied from left to right, and a summed label disappears together with
# the last operand that has it. One such product of two tensors is a single bmm: labels of both that
# stay are the batch, labels of one are its rows or columns, summed labels of both are the inner
# dimension.


def einsum(equation: str, *operands: Any) -> Any:
    """`einsum("ik,kj->ij", a, b)`: products of elements with equal labels, summed over the labels
    that the output lacks. Without `->` the output has the labels that occur once, in order."""
    if len(operands) == 1 and not isinstance(operands[0], TensorBase):
        operands = tuple(operands[0])
    inputs, output = _parse(equation, operands)
    summed = [label for label in dict.fromkeys(c for labels in inputs for c in labels)
              if label not in output]
    order = [*output, *summed]
    aligned = []
    for operand, labels in zip(operands, inputs, strict=True):
        operand, labels = _diagonals(operand, labels)
        present = [labels.index(label) for label in order if label in labels]
        operand = operand.permute(present)
        for place, label in enumerate(order):
            if label not in labels:
                operand = operand.unsqueeze(place)
        aligned.append(operand)
    _check_sizes(aligned, order)
    result = aligned[0]
    last_use = {label: max(i for i, labels in enumerate(inputs) if label in labels)
                for label in summed}
    first = [order.index(label) for label in summed if last_use[label] == 0]
    if first:
        result = result.sum(first, True)
    for number, operand in enumerate(aligned[1:], 1):
        done = [order.index(label) for label in summed if last_use[label] == number]
        result = _multiplied(result, operand, done)
    return result.view(result._data.shape[:len(output)]) if summed else result


def _parse(equation: str, operands: tuple) -> tuple[list[list[str]], list[str]]:
    """The labels of each operand and of the output; "..." becomes labels that are numbers."""
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
    if arrow:
        output = _labels(right, widest, widest)
        for label in output:
            if output.count(label) > 1:
                raise RuntimeError(f"einsum(): output subscript {label} appears more than once in "
                                   "the output")
            if not any(label in labels for labels in inputs):
                raise RuntimeError(f"einsum(): output subscript {label} does not appear in the "
                                   "equation for any input operand")
        return inputs, output
    every = [label for labels in inputs for label in labels]
    once = sorted(label for label in set(every) if label.isalpha() and every.count(label) == 1)
    return inputs, [str(i) for i in range(widest)] + once


def _labels(term: str, span: int, widest: int) -> list[str]:
    before, dots, after = term.partition("...")
    for label in before + after:
        if not label.isalpha():
            raise RuntimeError("einsum(): invalid subscript given at index "
                               f"{term.index(label)} in the equation string, subscripts must be "
                               "in [a-zA-Z]")
    inner = [str(i) for i in range(widest - span, widest)] if dots else []
    return [*before, *inner, *after]


def _diagonals(operand: Any, labels: list[str]) -> tuple[Any, list[str]]:
    """A label that an operand has twice means its diagonal."""
    labels = list(labels)
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            sizes = operand._data.shape[first], operand._data.shape[second]
            if sizes[0] != sizes[1]:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand 0 but the sizes don't "
                    f"match, {sizes[1]} != {sizes[0]}")
            operand = operand.diagonal(0, first, second).movedim(-1, first)
            del labels[second]
    return operand, labels


def _check_sizes(operands: list, order: list[str]) -> None:
    for place, label in enumerate(order):
        sizes = {each._data.shape[place] for each in operands} - {1}
        if len(sizes) > 1:
            raise RuntimeError(
                f"einsum(): subscript {label} has size {operands[-1]._data.shape[place]} for "
                f"operand {len(operands) - 1} which does not broadcast with previously seen size "
                f"{operands[0]._data.shape[place]}")


def _multiplied(left: Any, right: Any, summed: list[int]) -> Any:
    """The product of two aligned operands, summed (and kept as size 1) over the dims `summed`."""
    a, b = left._data.shape, right._data.shape
    batch, rows, columns, inner = [], [], [], []
    for dim in range(len(a)):
        if dim in summed:
            if a[dim] > 1 and b[dim] > 1:
                inner.append(dim)
            elif a[dim] > 1:
                left = left.sum(dim, True)
            elif b[dim] > 1:
                right = right.sum(dim, True)
        elif a[dim] > 1 and b[dim] > 1:
            batch.append(dim)
        elif a[dim] > 1:
            rows.append(dim)
        else:
            columns.append(dim)
    gone = [dim for dim in summed if dim not in inner]
    order = [*batch, *rows, *inner, *columns, *gone]
    left = left.permute(order).reshape(_product(a, batch), _product(a, rows), _product(a, inner))
    order = [*batch, *inner, *columns, *rows, *gone]
    right = right.permute(order).reshape(_product(b, batch), _product(b, inner),
                                         _product(b, columns))
    sizes = [a[dim] for dim in (*batch, *rows)] + [1] * len(summed) + [b[dim] for dim in columns]
    places = [*batch, *rows, *summed, *columns]
    back = [places.index(dim) for dim in range(len(a))]
    return left.bmm(right).view(sizes).permute(back)


def _product(shape: tuple[int, ...], dims: list[int]) -> int:
    return math.prod(shape[dim] for dim in dims)
