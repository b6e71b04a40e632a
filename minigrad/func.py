"""Derivatives as functions of functions: `grad(f)` is the function that computes f's gradient.

    grad(f)(x)              the gradient of a scalar function; grad_and_value(f)(x) also f(x)
    vjp(f, x), jvp(f, (x,), (t,)), linearize(f, x)
    jacrev(f)(x), jacfwd(f)(x), hessian(f)(x)
    functional_call(module, parameters, args)

They nest: grad(grad(f)), jacfwd(jacrev(f)). Arguments and results may be nested in tuples, lists
and dicts.

Note [Histories of inputs]
~~~~~~~~~~~~~~~~~~~~~~~~~~
f gets new tensors, `roots` of a graph of their own that goes on to the caller's tensors: so f may
also know the old ones, as constants. A result must not tell of the roots: it requires a gradient
only if, outside of this call, something it depends on does. `_leads_outside` walks the graph to
see: leaves that are roots of this call, or of calls that are over, do not count.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from . import autograd
from .autograd.forward_ad import dual, same_memory
from .autograd.grad_mode import enable_grad, no_grad
from .core import AccumulateGrad, TensorBase, accumulator, mode, wrap
from .device import array_module
from .names import missing_in
from .nn.utils import stateless
from .ops.joining import stack
from .tangents import Level, Outside

__all__ = ["functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp",
           "linearize", "vjp"]


# --- nested arguments -----------------------------------------------------------------------------

def _leaves(nest: Any) -> list:
    """What is in a nest of tuples, lists and dicts, in order."""
    if isinstance(nest, dict):
        nest = list(nest.values())
    if isinstance(nest, tuple | list):
        return [leaf for item in nest for leaf in _leaves(item)]
    return [nest]


def _map(function: Callable, nest: Any) -> Any:
    """The nest with `function` of each leaf in its place."""
    if isinstance(nest, dict):
        return type(nest)((key, _map(function, item)) for key, item in nest.items())
    if isinstance(nest, tuple | list):
        items = [_map(function, item) for item in nest]
        return type(nest)(*items) if hasattr(nest, "_fields") else type(nest)(items)
    return function(nest)


def _like(nest: Any, leaves: Sequence) -> Any:
    """A nest of the same form with these leaves."""
    rest = iter(leaves)
    return _map(lambda _: next(rest), nest)


def _form(nest: Any) -> Any:
    return _map(lambda _: "*", nest)


# --- argnums --------------------------------------------------------------------------------------

Argnums = int | tuple[int, ...] | None


def _chosen(args: tuple, argnums: Any) -> Any:
    """The arguments to differentiate by: one, or a tuple."""
    if not isinstance(argnums, int | tuple):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    if isinstance(argnums, int):
        return args[_place(argnums, len(args))]
    places = tuple([_place(each, len(args)) for each in argnums])
    if not places:
        raise RuntimeError("argnums must be non-empty")
    if len(set(places)) != len(places):
        raise RuntimeError(f"argnums elements must be unique, got {places}")
    return tuple([args[place] for place in places])


def _place(argnum: Any, count: int) -> int:
    if not isinstance(argnum, int):
        raise RuntimeError(f"argnum must be int, got: {type(argnum)}")
    if not -count <= argnum < count:
        raise RuntimeError(f"Got argnum={argnum}, but only {count} positional inputs")
    return argnum % count


def _replaced(args: tuple, argnums: Any, values: Any) -> list:
    """The arguments with those that `_chosen` took replaced."""
    result = list(args)
    if isinstance(argnums, int):
        argnums, values = (argnums,), (values,)
    for argnum, value in zip(argnums, values, strict=True):
        result[argnum] = value
    return result


# --- histories ------------------------------------------------------------------------------------

_over: weakref.WeakSet = weakref.WeakSet()  # the leaves' nodes of calls that are over


class _Roots:
    """The inputs of one call of f (see Note [Histories of inputs])."""

    def __init__(self, nest: Any) -> None:
        self.recording = mode.grad is True
        self.tensors: list[Any] = []
        self.nodes: list[AccumulateGrad] = []
        with enable_grad():
            self.given = _map(self._root, nest)

    def _root(self, tensor: Any) -> Any:
        if not isinstance(tensor, TensorBase):
            raise ValueError("Thing passed to transform API must be Tensor, got "
                             f"{type(tensor)}")
        root: Any = same_memory(tensor)
        if root._node is None:
            root.requires_grad_()
            self.nodes.append(accumulator(root))
        self.tensors.append(root)
        return same_memory(root)  # not a leaf, so that f may write to it

    def leads_outside(self, results: list) -> bool:
        """Whether gradients of the results are wanted outside of this call."""
        if not self.recording:
            return False
        stack = [each.grad_fn or accumulator(each) for each in results
                 if isinstance(each, TensorBase) and each.requires_grad]
        seen = {*stack}
        while stack:
            node = stack.pop()
            if type(node) is AccumulateGrad and node not in _over and node not in self.nodes:
                return True
            for edge in node.edges:
                if edge is not None and edge[0] not in seen:
                    seen.add(edge[0])
                    stack.append(edge[0])
        return False

    def gradients(self, outputs: list, weights: list, keep_history: bool, retain: bool) -> list:
        """The gradients of the roots; zeros where there is none."""
        pairs = [(output, weight) for output, weight in zip(outputs, weights, strict=True)
                 if output.requires_grad]
        found: Any = [None] * len(self.tensors)
        if pairs:
            found = autograd.grad(
                [output for output, _ in pairs], self.tensors, [weight for _, weight in pairs],
                create_graph=keep_history, retain_graph=retain or keep_history, allow_unused=True)
        return [_zeros(root) if each is None else each
                for root, each in zip(self.tensors, found, strict=True)]

    def finish(self, nest: Any, keep_history: bool) -> Any:
        """The results, without histories that only lead to the roots."""
        _over.update(self.nodes)
        return nest if keep_history else _map(_cut, nest)


def _cut(value: Any) -> Any:
    """The tensor without its history, but with its tangents."""
    if not (isinstance(value, TensorBase) and value.requires_grad):
        return value
    with no_grad():
        return same_memory(value)


def _zeros(tensor: Any) -> Any:
    return wrap(array_module(tensor._data).zeros(tensor._data.shape, tensor._data.dtype))


def _without_aux(result: Any, has_aux: bool, name: str) -> tuple:
    """The output and what else f returned."""
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{name}: output of function f should be a tuple: (output, aux) if "
                           "has_aux is True")
    return result


# --- reverse mode ---------------------------------------------------------------------------------

def grad(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """The function that computes the gradient of the scalar function `func`.

    `argnums` says by which arguments: one, or a tuple. With `has_aux`, `func` returns a pair whose
    second part is passed on.
    """
    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """The function that computes the gradient and the value: (gradient, value)."""

    @functools.wraps(func)
    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        chosen = _chosen(args, argnums)
        roots = _Roots(chosen)
        with enable_grad():
            output, aux = _without_aux(func(*_replaced(args, argnums, roots.given), **kwargs),
                                       has_aux, "grad_and_value(f)(*args)")
            if not isinstance(output, TensorBase):
                raise RuntimeError("grad_and_value(f)(*args): Expected f(*args) to return a Tensor,"
                                   f" got {type(output)}")
            if output._data.ndim:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got "
                    f"tensor with {output._data.ndim} dims. Maybe you wanted to use the vjp or "
                    "jacrev APIs instead?")
            keep = roots.leads_outside([output])
            found = _like(chosen, roots.gradients([output], [None], keep, False))
        found, output, aux = roots.finish((found, output, aux), keep)
        return found, (output, aux) if has_aux else output

    return gradient_and_value


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """`func(*primals)` and the function that maps a cotangent u of it to $u^T J$."""
    outputs, pull, aux = _vjp(func, primals, tuple(range(len(primals))), has_aux)

    def vjp_fn(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        return pull(cotangents)

    return (outputs, vjp_fn, aux) if has_aux else (outputs, vjp_fn)


def _vjp(func: Callable, args: tuple, argnums: Any, has_aux: bool) -> tuple:
    """vjp by some of the arguments."""
    chosen = _chosen(args, argnums)
    roots = _Roots(chosen)
    with enable_grad():
        outputs, aux = _without_aux(func(*_replaced(args, argnums, roots.given)), has_aux,
                                    "vjp(f, *primals)")
    inner = _leaves(outputs)
    if not inner or inner == [None]:
        raise RuntimeError("vjp(f, *primals): Expected f to be a function that has non-empty "
                           f"output (got output = {inner})")
    for each in inner:
        if not isinstance(each, TensorBase):
            raise RuntimeError("vjp(f, *primals): expected f(*primals) to return only tensors, "
                               f"got unsupported type {type(each)}")
        if not (each.dtype.is_floating_point or each.dtype.is_complex):
            raise RuntimeError("vjp(f, ...): All outputs of f must be floating-point or complex "
                               f"Tensors, got Tensor with dtype {each.dtype}")
    keep = roots.leads_outside(inner)
    form = _form(outputs)

    def pull(cotangents: Any) -> Any:
        if _form(cotangents) != form:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {_form(cotangents)}, primal output: {form}")
        weights = _leaves(cotangents)
        history = mode.grad is True and (keep or any(each.requires_grad for each in weights))
        with enable_grad():
            found = _like(chosen, roots.gradients(inner, weights, history, True))
        return roots.finish(found, history)

    outputs, aux = roots.finish((outputs, aux), keep)
    return outputs, pull, aux


def jacrev(func: Callable, argnums: Argnums = 0, *, has_aux: bool = False,
           chunk_size: int | None = None, _preallocate_and_copy: bool = False) -> Callable:
    """The function that computes the Jacobian row by row: one backward per element of the output.

    `chunk_size` is for torch's vectorised rows; here it changes nothing.
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def jacobian(*args: Any) -> Any:
        _refuse_complex("jacrev", args, "inputs")
        outputs, pull, aux = _vjp(func, args, argnums, has_aux)
        leaves = _leaves(outputs)
        _refuse_complex("jacrev", leaves, "outputs")
        chosen = _chosen(args, argnums)
        inputs = _leaves(chosen)
        blocks = []
        for place, output in enumerate(leaves):
            rows: list[list] = [_leaves(pull(_like(outputs, weights)))
                                for weights in _unit_vectors(leaves, place)]
            blocks.append(_like(chosen, [
                _block([row[i] for row in rows], 0, output, input)
                for i, input in enumerate(inputs)]))
        found = _like(outputs, blocks)
        return (found, aux) if has_aux else found

    return jacobian


def _unit_vectors(tensors: list, place: int) -> Any:
    """Zeros like the tensors, with a one in each element of the tensor at `place` in turn."""
    for element in range(tensors[place]._data.size):
        vectors = [_zeros(each) for each in tensors]
        vectors[place]._data.reshape(-1)[element] = 1
        yield vectors


def _block(parts: list, dim: int, output: Any, input: Any) -> Any:
    """Rows (dim 0) or columns (dim -1) as the Jacobian of one output by one input."""
    shape = (*output._data.shape, *input._data.shape)
    if not parts:
        return output.new_zeros(shape)
    return stack(parts, dim).reshape(shape)


def _refuse_complex(name: str, nest: Any, what: str) -> None:
    for place, leaf in enumerate(_leaves(nest)):
        if isinstance(leaf, TensorBase) and leaf.dtype.is_complex:
            raise RuntimeError(f"{name}: Expected all {what} to be real but received complex "
                               f"tensor at flattened input idx: {place}")


# --- forward mode ---------------------------------------------------------------------------------

def jvp(func: Callable, primals: Any, tangents: Any, *, strict: bool = False,
        has_aux: bool = False) -> tuple:
    """`func(*primals)` and $J t$ for the tangents t, in forward mode."""
    name = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(f"{name}: Expected primals to be a tuple. E.g. it should be valid to "
                           "call f(*primals).")
    if _form(primals) != _form(tangents):
        raise RuntimeError(
            f"{name}: Expected primals and tangents to have the same python structure. For "
            "example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with "
            f"structure {_form(primals)} and tangents with structure {_form(tangents)}")
    for nest, argument in ((primals, "primals"), (tangents, "tangents")):
        leaves = _leaves(nest)
        if not leaves:
            raise RuntimeError(f"{name}: Expected {argument} to contain at least one Tensor.")
        for leaf in leaves:
            if not isinstance(leaf, TensorBase):
                raise RuntimeError(f"{name}: Expected {argument} to only contain Tensors, got "
                                   f"{type(leaf)}")
    level = Level()
    level.open()
    try:
        pairs = zip(_leaves(primals), _leaves(tangents), strict=True)
        outputs, aux = _without_aux(func(*_like(primals, [dual(x, t) for x, t in pairs])),
                                    has_aux, name)
        values, moved = [], []
        for output in _leaves(outputs):
            if not isinstance(output, TensorBase):
                raise RuntimeError(f"{name}: expected f(*primals) to return only tensors, "
                                   f"got unsupported type {type(output)}")
            tangent = level.of(output)
            if tangent is None and strict:
                raise RuntimeError("jvp(f, primals, tangents, strict=True): The output of f is "
                                   "independent of the inputs. This is not allowed with "
                                   "strict=True.")
            with Outside(level):
                values.append(same_memory(output))
                moved.append(_zeros(output) if tangent is None else tangent)
    finally:
        level.close()
    result = _like(outputs, values), _like(outputs, moved)
    return (*result, aux) if has_aux else result


def jacfwd(func: Callable, argnums: Argnums = 0, has_aux: bool = False, *,
           randomness: str = "error") -> Callable:
    """The function that computes the Jacobian column by column: `func` is called on dual numbers
    once per element of the input.

    `randomness` is for torch's vectorised columns; here it changes nothing.
    """
    @functools.wraps(func)
    def jacobian(*args: Any) -> Any:
        _refuse_complex("jacfwd", args, "inputs")
        chosen = _chosen(args, argnums)
        inputs = _leaves(chosen)
        columns: list[list] = []
        for place in range(len(inputs)):
            columns.append([])
            for vectors in _unit_vectors(inputs, place):
                outputs, moved, *aux = jvp(
                    lambda given: func(*_replaced(args, argnums, given)), (chosen,),
                    (_like(chosen, vectors),), has_aux=has_aux)
                columns[-1].append(_leaves(moved))
        leaves = _leaves(outputs)
        _refuse_complex("jacfwd", leaves, "outputs")
        blocks = [_like(chosen, [
            _block([column[number] for column in columns[i]], -1, output, input)
            for i, input in enumerate(inputs)]) for number, output in enumerate(leaves)]
        found = _like(outputs, blocks)
        return (found, aux[0]) if has_aux else found

    return jacobian


def hessian(func: Callable, argnums: Argnums = 0) -> Callable:
    """The function that computes the Hessian: forward over reverse."""
    return jacfwd(jacrev(func, argnums), argnums)


def linearize(func: Callable, *primals: Any) -> tuple:
    """`func(*primals)` and the function t -> J t, which does not call `func` again: it is the
    transpose of what backward computes."""
    outputs, pull, _ = _vjp(func, primals, tuple(range(len(primals))), False)
    with enable_grad():
        u = [_zeros(each).requires_grad_() for each in _leaves(outputs)]
        back = _leaves(pull(_like(outputs, u)))

    def jvp_fn(*tangents: Any) -> Any:
        if _form(tangents) != _form(primals):
            raise RuntimeError(f"Expected the tangents {_form(tangents)} to have the same argspec "
                               f"as the primals {_form(primals)}")
        pairs = [(each, t) for each, t in zip(back, _leaves(tangents), strict=True)
                 if each.requires_grad]
        found = autograd.grad([each for each, _ in pairs], u, [t for _, t in pairs],
                              retain_graph=True, create_graph=mode.grad is True and any(
                                  t.requires_grad for _, t in pairs), allow_unused=True)
        return _like(outputs, [_zeros(each) if t is None else t
                               for each, t in zip(u, found, strict=True)])

    return outputs, jvp_fn


# --- modules --------------------------------------------------------------------------------------

def functional_call(module: Any, parameter_and_buffer_dicts: Any, args: Any = None,
                    kwargs: dict[str, Any] | None = None, *, tie_weights: bool = True,
                    strict: bool = False) -> Any:
    """`module(*args, **kwargs)` with these parameters and buffers instead of its own."""
    dicts = parameter_and_buffer_dicts
    if isinstance(dicts, Sequence) and not isinstance(dicts, dict):
        if not all(isinstance(each, dict) for each in dicts):
            raise ValueError("Expected all elements of parameter_and_buffer_dicts to be "
                             "dictionaries")
        names = [name for each in dicts for name in each]
        repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if repeated:
            raise ValueError(f"{repeated} appeared in multiple dictionaries; behavior of "
                             "functional call is ambiguous")
        dicts = {name: tensor for each in dicts for name, tensor in each.items()}
    elif not isinstance(dicts, dict):
        raise ValueError("Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of "
                         f"dicts, but got {type(dicts)}")
    return stateless.call(module, dicts, args, kwargs, tie_weights, strict)


__getattr__ = missing_in(__name__)
