"""Jacobians, Hessians and products with them, of a function at a point.

    jacobian(f, x)      J, of shape (*f(x).shape, *x.shape)
    vjp(f, x, v)        f(x), v^T J          one backward
    jvp(f, x, v)        f(x), J v            backward, differentiated with respect to v
    hessian(f, x)       H of a scalar function
    vhp, hvp            f(x), v^T H          backward of a backward; and H v

Inputs and outputs are one tensor or a tuple of them; results are nested as these are.
`create_graph` makes the results differentiable in turn. `strict` refuses a function that does not
depend on an input, for which the result would be zero. `vectorize` is torch's switch to vmap, which
is faster there; here the same values are computed row by row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import autograd
from ..core import TensorBase, mode, wrap
from ..device import array_module
from ..names import missing_in
from ..ops.joining import stack
from .forward_ad import dual_level, make_dual, unpack_dual
from .grad_mode import enable_grad, set_grad_enabled

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


# --- the public functions -------------------------------------------------------------------------

def vjp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False,
        strict: bool = False) -> tuple:
    """`func(*inputs)` and $v^T J$; v may be left out if the output is one element."""
    with enable_grad():
        several, inputs = _inputs(inputs, "vjp", create_graph)
        several_outputs, outputs = _call(func, inputs, "vjp", strict)
        if v is not None:
            v = _vector(v, outputs, several_outputs, "vjp", create_graph)
        elif len(outputs) != 1 or outputs[0]._data.size != 1:
            raise RuntimeError("The vector v can only be None if the user-provided function returns"
                               " a single Tensor with a single element.")
    with set_grad_enabled(create_graph or mode.grad is True):
        found = _grad(outputs, inputs, v, create_graph)
        found = _filled(found, inputs, strict, create_graph, "back")
    return (_finished(outputs, several_outputs, create_graph),
            _finished(found, several, create_graph))


def jvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False,
        strict: bool = False) -> tuple:
    """`func(*inputs)` and $J v$; v may be left out if the input is one element."""
    with enable_grad():
        several, inputs = _inputs(inputs, "jvp", create_graph)
        v = _input_vector(v, inputs, several, "jvp", create_graph, (
            "The vector v can only be None if the input to the user-provided function is a single "
            "Tensor with a single element."))
        several_outputs, outputs = _call(func, inputs, "jvp", strict)
        # u -> J^T u is linear: its derivative with respect to u, along v, is J v for every u.
        u = _zeros_with_gradient(outputs)
        back = _grad(outputs, inputs, u, True)
        _check_requires_grad(back, "grad_inputs", strict)
    with set_grad_enabled(create_graph or mode.grad is True):
        found = _grad(back, u, v, create_graph)
        found = _filled(found, outputs, strict, create_graph, "back_trick")
    return (_finished(outputs, several_outputs, create_graph),
            _finished(found, several_outputs, create_graph))


def jacobian(func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False,
             vectorize: bool = False, strategy: str = "reverse-mode") -> Any:
    r"""$J_{ij} = \partial y_i / \partial x_j$, for each pair of an output and an input."""
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your '
            'function has more outputs than inputs, "forward-mode" tends to be more performant. '
            'Otherwise, prefer to use "reverse-mode".')
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                "torch.autograd.functional.jacobian: `create_graph=True` and "
                '`strategy="forward-mode"` are not supported together (yet). Please either set '
                '`create_graph=False` or `strategy="reverse-mode"`.')
        return _jacobian_forward(func, inputs, strict, vectorize)
    with enable_grad():
        several, inputs = _inputs(inputs, "jacobian", create_graph)
        several_outputs, outputs = _call(func, inputs, "jacobian", strict)
        if vectorize and strict:
            raise RuntimeError(
                "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not "
                "supported together. Please either set `strict=False` or `vectorize=False`.")
        rows = []
        for number, output in enumerate(outputs):
            flat = output.reshape(-1)
            found = []
            for j in range(output._data.size):
                row = _grad((flat[j],), inputs, None, create_graph, retain_graph=True)
                found.append(_checked_row(row, inputs, number, strict, create_graph))
            rows.append(tuple(_stacked([row[i] for row in found], output, inputs[i])
                              for i in range(len(inputs))))
    rows = [_released(row, create_graph) for row in rows]
    return _nested(tuple(rows), several_outputs, several)


def hessian(func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False,
            vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode") -> Any:
    r"""$H_{ij} = \partial^2 y / \partial x_i \partial x_j$ of a scalar function: the Jacobian of
    its Jacobian."""
    several, inputs = _as_tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def scalar(*given: Any) -> Any:
        result = func(*given)
        several_outputs, outputs = _as_tuple(
            result, "outputs of the user-provided function", "hessian")
        _check_requires_grad(outputs, "outputs", strict)
        _require_scalar(several_outputs, outputs, "hessian")
        return result.squeeze()

    def gradient(*given: Any) -> Any:
        if outer_jacobian_strategy == "forward-mode":
            given = tuple(each.requires_grad_(True) for each in given)
        found = jacobian(scalar, given, create_graph=True)
        _check_requires_grad(found, "jacobian", strict)
        return found

    found = jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return _nested(found, several, several)


def vhp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False,
        strict: bool = False) -> tuple:
    """`func(*inputs)` and $v^T H$ of a scalar function."""
    with enable_grad():
        several, inputs, v, outputs, jac = _scalar_and_gradient(
            func, inputs, v, create_graph, strict, "vhp")
    with set_grad_enabled(create_graph or mode.grad is True):
        found = _grad(jac, inputs, v, create_graph)
        found = _filled(found, inputs, strict, create_graph, "double_back")
    return (_finished(outputs, False, create_graph), _finished(found, several, create_graph))


def hvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False,
        strict: bool = False) -> tuple:
    """`func(*inputs)` and $H v$ of a scalar function: `vhp` where H is symmetric, and slower."""
    with enable_grad():
        several, inputs, v, outputs, jac = _scalar_and_gradient(
            func, inputs, v, create_graph, strict, "hvp")
        u = _zeros_with_gradient(inputs)
        double_back = _grad(jac, inputs, u, True)
        _check_requires_grad(jac, "hessian", strict)
    with set_grad_enabled(create_graph or mode.grad is True):
        found = _grad(double_back, u, v, create_graph)
        found = _filled(found, inputs, strict, create_graph, "double_back_trick")
    return (_finished(outputs, False, create_graph), _finished(found, several, create_graph))


# --- parts of them --------------------------------------------------------------------------------

def _jacobian_forward(func: Callable, inputs: Any, strict: bool, vectorize: bool) -> Any:
    """The Jacobian column by column: one call of `func` on dual numbers for each input element."""
    if strict:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `strategy=\"forward-mode\"` are "
            "not supported together (yet). Please either set `strict=False` or "
            '`strategy="reverse-mode"`.')
    several, inputs = _as_tuple(inputs, "inputs", "jacobian")
    if not vectorize:
        raise NotImplementedError("Computing Jacobian using forward-AD or forward-over-reverse "
                                  "Hessian isonly implemented for `vectorize=True`.")
    columns: list = []  # by input, then by element: the tangents of the outputs
    for place, input in enumerate(inputs):
        columns.append([])
        for element in range(input._data.size):
            tangents = [_zeros(each) for each in inputs]
            tangents[place]._data.reshape(-1)[element] = 1
            with dual_level():
                duals = [make_dual(*pair) for pair in zip(inputs, tangents, strict=True)]
                several_outputs, results = _as_tuple(func(*duals))
                outputs = [unpack_dual(result) for result in results]
            columns[-1].append([_zeros(primal) if tangent is None else tangent
                                for primal, tangent in outputs])
    rows = []
    for number, (primal, _) in enumerate(outputs):
        row = []
        for input, found in zip(inputs, columns, strict=True):
            shape = (*primal.shape, *input.shape)
            row.append(stack([column[number] for column in found], -1).reshape(shape)
                       if found else primal.new_zeros(shape))
        rows.append(row)
    return _nested(rows, several_outputs, several)


def _scalar_and_gradient(func: Callable, inputs: Any, v: Any, create_graph: bool, strict: bool,
                         name: str) -> tuple:
    """What vhp and hvp begin with."""
    several, inputs = _inputs(inputs, name, create_graph)
    v = _input_vector(v, inputs, several, name, create_graph, (
        "The vector v can only be None if the input to the user-provided function is a single "
        "Tensor with a single element."))
    several_outputs, outputs = _call(func, inputs, name, strict)
    _require_scalar(several_outputs, outputs, name)
    jac = _grad(outputs, inputs, None, True)
    _check_requires_grad(jac, "jacobian", strict)
    return several, inputs, v, outputs, jac


def _checked_row(row: tuple, inputs: tuple, number: int, strict: bool, create_graph: bool) -> list:
    """A row of the Jacobian, zeros where an input does not matter."""
    found = []
    for place, (derived, input) in enumerate(zip(row, inputs, strict=True)):
        if derived is None:
            if strict:
                raise RuntimeError(f"Output {number} of the user-provided function is independent "
                                   f"of input {place}. This is not allowed in strict mode.")
            derived = _zeros(input)
        elif strict and create_graph and not derived.requires_grad:
            raise RuntimeError(
                f"The jacobian of the user-provided function is independent of input {number}. "
                "This is not allowed in strict mode when create_graph=True.")
        found.append(derived)
    return found


def _stacked(rows: list, output: Any, input: Any) -> Any:
    shape = (*output._data.shape, *input._data.shape)
    if not rows:
        return input.new_zeros(shape)
    return stack(rows, 0).view(shape)


def _inputs(inputs: Any, name: str, create_graph: bool) -> tuple[bool, tuple]:
    """The inputs as new tensors: the function may also know the old ones, as constants."""
    several, inputs = _as_tuple(inputs, "inputs", name)
    return several, tuple([_fresh(each, create_graph, True) for each in inputs])


def _fresh(tensor: Any, create_graph: bool, requires_grad: bool) -> Any:
    if create_graph and tensor.requires_grad:
        return tensor.view_as(tensor)
    return tensor.detach().requires_grad_(requires_grad)


def _call(func: Callable, inputs: tuple, name: str, strict: bool) -> tuple[bool, tuple]:
    several, outputs = _as_tuple(func(*inputs), "outputs of the user-provided function", name)
    _check_requires_grad(outputs, "outputs", strict)
    return several, outputs


def _input_vector(v: Any, inputs: tuple, several: bool, name: str, create_graph: bool,
                  missing: str) -> Any:
    if v is not None:
        return _vector(v, inputs, several, name, create_graph)
    if len(inputs) != 1 or inputs[0]._data.size != 1:
        raise RuntimeError(missing)
    return None


def _vector(v: Any, like: tuple, several: bool, name: str, create_graph: bool) -> tuple:
    """v as a tuple of new tensors, which must have the sizes of `like`."""
    _, v = _as_tuple(v, "v", name)
    v = tuple([_fresh(each, create_graph, False) for each in v])
    if len(v) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got "
                           f"{len(v)}." if several else
                           "The given v should contain a single Tensor.")
    for place, (own, other) in enumerate(zip(v, like, strict=True)):
        if own._data.shape != other._data.shape:
            entry = f"Entry {place} in " if several else ""
            raise RuntimeError(f"{entry}v has invalid size: should be {other.size()} but got "
                               f"{own.size()}.")
    return v


def _require_scalar(several: bool, outputs: tuple, name: str) -> None:
    if several:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outputs[0]._data.size != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a "
                           "single element")


def _grad(outputs: Any, inputs: tuple, weights: Any, create_graph: bool,
          retain_graph: bool | None = None) -> tuple:
    """autograd.grad of those outputs that have a gradient; None for inputs that do not matter."""
    weights = weights or (None,) * len(outputs)
    pairs = [(output, weight) for output, weight in zip(outputs, weights, strict=True)
             if output is not None and output.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    return autograd.grad([output for output, _ in pairs], inputs, [weight for _, weight in pairs],
                         allow_unused=True, create_graph=create_graph, retain_graph=retain_graph)


def _zeros(tensor: Any) -> Any:
    return wrap(array_module(tensor._data).zeros(tensor._data.shape, tensor._data.dtype))


def _zeros_with_gradient(tensors: tuple) -> tuple:
    return tuple([_zeros(each).requires_grad_() for each in tensors])


# --- nesting --------------------------------------------------------------------------------------

def _as_tuple(value: Any, argument: str = "outputs", name: str = "jacobian") -> tuple[bool, tuple]:
    """Whether `value` was a tuple, and as one."""
    several = isinstance(value, tuple)
    values = value if several else (value,)
    for place, each in enumerate(values):
        if not isinstance(each, TensorBase):
            which = f"the value at index {place} has type {type(each)}." if several else \
                f"the given {argument} has type {type(each)}."
            raise TypeError(f"The {argument} given to {name} must be either a Tensor or a tuple of "
                            f"Tensors but {which}")
    return several, values


def _released(tensors: Any, create_graph: bool) -> tuple:
    """The results without their history, unless it is wanted."""
    return tuple(tensors) if create_graph else tuple([each.detach() for each in tensors])


def _finished(tensors: Any, several: bool, create_graph: bool) -> Any:
    released = _released(tensors, create_graph)
    return released if several else released[0]


def _nested(rows: Any, several_outputs: bool, several_inputs: bool) -> Any:
    """Rows by output of columns by input, without the levels that the user's own values lack."""
    if not several_inputs:
        rows = tuple([row[0] for row in rows])
    return rows if several_outputs else rows[0]


# --- strict mode ----------------------------------------------------------------------------------

_NO_GRADIENT = {
    "outputs": (
        "Output {} of the user-provided function does not require gradients. The outputs must be "
        "computed in a differentiable manner from the input when running in strict mode."),
    "grad_inputs": (
        "The gradient with respect to input {} is independent of the inputs of the user-provided "
        "function. This is not allowed in strict mode."),
    "jacobian": (
        "While computing the hessian, found that the jacobian of the user-provided function with "
        "respect to input {} is independent of the input. This is not allowed in strict mode. You "
        "should ensure that your function is twice differentiable and that the jacobian depends on "
        "the inputs (this would be violated by a linear function for example)."),
    "hessian": (
        "The hessian of the user-provided function with respect to input {} is independent of the "
        "input. This is not allowed in strict mode. You should ensure that your function is thrice "
        "differentiable and that the hessian depends on the inputs."),
}

_MISSING = {
    "back": (
        "The output of the user-provided function is independent of input {}. This is not allowed "
        "in strict mode."),
    "back_trick": (
        "The gradient with respect to the input is independent of entry {} in the grad_outputs "
        "when using the double backward trick to compute forward mode gradients. This is not "
        "allowed in strict mode."),
    "double_back": (
        "The jacobian of the user-provided function is independent of input {}. This is not "
        "allowed in strict mode."),
    "double_back_trick": (
        "The hessian of the user-provided function is independent of entry {} in the grad_jacobian."
        " This is not allowed in strict mode as it prevents from using the double backward trick "
        "to replace forward mode AD."),
}


def _check_requires_grad(tensors: Any, what: str, strict: bool) -> None:
    if not strict:
        return
    for place, tensor in enumerate([tensors] if isinstance(tensors, TensorBase) else tensors):
        if tensor is None:
            raise RuntimeError(_MISSING["back"].format(place))
        if not tensor.requires_grad:
            raise RuntimeError(_NO_GRADIENT[what].format(place))


def _filled(found: tuple, like: tuple, strict: bool, create_graph: bool, stage: str) -> tuple:
    """Zeros for what does not matter; in strict mode an error."""
    results = []
    for place, (each, other) in enumerate(zip(found, like, strict=True)):
        if each is None:
            if strict:
                raise RuntimeError(_MISSING[stage].format(place))
            each = _zeros(other)
        elif strict and create_graph and not each.requires_grad:
            what = "hessian" if "double" in stage else "jacobian"
            raise RuntimeError(f"The {what} of the user-provided function is independent of input "
                               f"{place}. This is not allowed in strict mode when "
                               "create_graph=True.")
        results.append(each)
    return tuple(results)


__getattr__ = missing_in(__name__)
