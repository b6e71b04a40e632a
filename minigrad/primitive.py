"""How an op is declared: `@primitive` for the kernel, `derivative` for its rules.

    @primitive(promote="default")
    def mul(xp, input, other):
        return xp.multiply(input, other)

    derivative(mul,
        input=lambda g, other: g * other.conj(),
        other=lambda g, input: g * input.conj())

Note [Kernels and rules]
~~~~~~~~~~~~~~~~~~~~~~~~
A *kernel* sees arrays: the array library `xp` first, then the arrays by position, everything else
by keyword. A *rule* sees Tensors and is written in minigrad's own ops, so it can be differentiated
in turn: that is all there is to higher orders. The engine sums a rule's result to the input's shape
and casts it to the input's dtype, so no rule mentions broadcasting or promotion.

Note [What a rule's parameters mean]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
The first parameter is the incoming gradient: `g` for the first output, or `grads` for the list of
all outputs' gradients (None where nothing arrived). Each further name is a value from forward, and
is saved because it is named, and only then:

    input, other, ...      an input of that name (as a Tensor, with its history)
    result                 the output (or an output's own name, if `outputs=` gave names)
    dim, keepdim, ...      a keyword argument of the kernel
    input_shape            the shape of an input (also input_dtype, input_layout); saves no array
    needs                  which of the inputs of a joint rule want a gradient, as bools

A name that is none of these is an error at import. Which rules run depends on which inputs need
gradients, so each such set gets a `Plan`, made at its first use: what to save, which rules to run,
and where each of them finds what it reads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from . import core, dtypes, promotion
from .core import (
    Node,
    TensorBase,
    View,
    accumulator,
    edge_of,
    look_at_histories,
    mode,
    next_number,
    switches,
    version_of,
    versions_of,
    wrap,
)
from .device import ARRAY_MODULES, device_of
from .dtypes import DIFFERENTIABLE
from .out import check_found, check_same, write_into
from .plan import Plan, reads_of
from .saved import watch
from .strides import as_operands_lie, laid_out

_ndarray = np.ndarray
_new = object.__new__


_NOTHING: dict = {}  # no keyword values
_TAKES_STAR_ARGS = 4  # inspect.CO_VARARGS


class Op:
    """A primitive's description: its kernel, the names of its values, its rules, its plans."""

    def __init__(self, kernel: Any, name: str, overload: int, promote: str,
                 outputs: tuple[str, ...], node_name: str | None) -> None:
        self.kernel = kernel
        self.name = name
        self.convert = promotion.CONVERTERS[promote]
        self.ready = promotion.READY[promote]
        self.numbers = "any"
        self.ufunc: Callable | None = None  # NumPy's function that is all the kernel does
        self.refused: dict[str, str] = {}
        self.outputs = outputs
        code = kernel.__code__
        positional, named = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
        self.variadic = bool(code.co_flags & _TAKES_STAR_ARGS)
        self.inputs = code.co_varnames[1:positional] + (
            code.co_varnames[named:named + 1] if self.variadic else ())
        self.keywords = code.co_varnames[positional:named]
        self.check_out = (
            check_same if promote in ("keep", "exact") else
            check_found if promote == "default" and positional == 2 else dtypes.check_castable)
        self.defaults = kernel.__kwdefaults__ or {}
        self.takes_out = "out" in self.keywords
        self.rules: dict[tuple[str, ...], Callable] = {}
        self.differentiable: tuple[int, ...] = ()  # positions of the inputs that have a rule
        self.every_input = False
        self.plans: dict[Any, Plan] = {}
        self.lies = "operands" if promote in ("default", "int_to_float") else "kernel"
        self.reflected = False  # errors name the operands in the other order: b - a
        self.tangent = "transposed"  # how forward AD does it (tangents.py)
        self.call: Any = None
        self.refuse: Callable | None = None  # raises for operands that the kernel cannot judge
        self.number_form: Op | None = None  # torch's other overload: its last input is a number
        camel = "".join(word.capitalize() if word.islower() else word
                        for word in name.strip("_").split("_"))
        self.node: Any = type(node_name or f"{camel}Backward{overload}", (Node,),
                              {"__slots__": (), "op": self})

    def add_rule(self, names: tuple[str, ...], rule: Callable) -> None:
        known = {*self.inputs, *self.outputs, *self.keywords, "needs"}
        known |= {f"{name}_{what}" for name in self.inputs for what in _FACTS}
        unknown = set(reads_of(rule)).difference(known).union(set(names).difference(self.inputs))
        if unknown:
            raise NameError(f"the rule of {self.name} for {', '.join(names)} names {unknown}, "
                            f"but {self.name} has only {sorted(known)}")
        if self.number_form is not None and names != self.inputs[-1:]:
            self.number_form.add_rule(names, rule)
        self.rules[names] = rule
        covered = {name for group in self.rules for name in group}
        self.differentiable = tuple(i for i, n in enumerate(self.inputs) if n in covered)
        self.every_input = self.variadic or len(self.differentiable) == len(self.inputs)

    def steps(self, wanted: tuple[bool, ...]) -> list[tuple]:
        """(place among the edges, rule); a joint rule fills a slice."""
        names = [self.inputs[i] for i in self.differentiable]
        steps: list[tuple] = []
        for group, rule in self.rules.items():
            first = names.index(group[0])
            if self.variadic and group[0] == self.inputs[-1]:
                steps.append((slice(first, len(wanted)), rule))
            elif len(group) > 1:
                steps.append((slice(first, first + len(group)), rule))
            else:
                steps.append((first, rule))
        return steps


def derivative(function: Callable, **rules: Callable) -> None:
    """Declare the rules of a primitive, one keyword per input (see Note [Kernels and rules])."""
    for name, rule in rules.items():
        function.op.add_rule((name,), rule)  # type: ignore[attr-defined]


def joint_derivative(function: Callable, inputs: tuple[str, ...], rule: Callable) -> None:
    """Declare one rule that gives the gradients of several neighbouring inputs together."""
    function.op.add_rule(inputs, rule)  # type: ignore[attr-defined]


# --- calling -------------------------------------------------------------------------------------

def primitive(kernel: Callable | None = None, *, promote: str = "keep", name: str | None = None,
              overload: int = 0, overload_of_number: int | None = None,
              outputs: tuple[str, ...] = ("result",), node_name: str | None = None,
              lies: str | None = None, numbers: str = "any",
              refuses: dict[str, str] | None = None, ufunc: Callable | None = None) -> Any:
    """Make a function of Tensors from a kernel on arrays.

    `promote` says which dtype the kernel computes in: "default" (the operands' common type),
    "int_to_float" (and integers become the default float), "keep" (as given; 16-bit floats compute
    in float32), "exact" (as given, also 16-bit floats: for kernels that only move data).
    `name` and `overload` make the node's name, MulBackward0; `node_name` gives it outright;
    `overload_of_number` is the overload's number where the last input is a Python number.
    `outputs` names several results; the function then returns a tuple. `lies` says how the result
    lies in memory: as the "operands" do (Note [The order of dimensions]), which is what "default"
    and "int_to_float" ops do unless told otherwise, or as the first "input" does, or in "rows", or
    as the "kernel" makes it.
    `numbers` says which operands may be Python numbers: "any", only the "last", or "none".
    `refuses` are kinds of dtypes (NumPy's letters) that torch has no kernel for, with the name of
    the kernel that it misses: {"c": "lt_cpu"}. `ufunc` is NumPy's function that does all that the
    kernel does with two arrays and no keyword: the shortest way for the commonest ops.
    """
    if kernel is None:
        return functools.partial(primitive, promote=promote, name=name, overload=overload,
                                 overload_of_number=overload_of_number, outputs=outputs,
                                 node_name=node_name, lies=lies, numbers=numbers,
                                 refuses=refuses, ufunc=ufunc)
    op = Op(kernel, name or kernel.__name__, overload, promote, outputs, node_name)
    op.lies = lies or op.lies
    op.numbers = numbers
    op.ufunc = ufunc
    if refuses:
        op.refused = {kind: label for kinds, label in refuses.items() for kind in kinds}
        op.ready = frozenset(d for d in op.ready if d.kind not in op.refused)
    if overload_of_number is not None:
        op.number_form = Op(kernel, op.name, overload_of_number, promote, outputs, None)
        op.number_form.numbers, op.number_form.refused = op.numbers, op.refused
        op.number_form.lies = op.lies
    plain = (not op.variadic and set(op.defaults) == set(op.keywords) and len(outputs) == 1
             and op.lies in ("operands", "kernel"))
    call: Any
    if plain and len(op.inputs) == 2:
        call = _with_keywords(binary_call(op, run), op)
    elif plain and len(op.inputs) == 1:
        call = _unary(op)
    else:
        call = _general(op)
    return dressed(call, op)


def dressed(call: Any, op: Op) -> Any:
    """Name and docstring of the kernel."""
    functools.update_wrapper(call, op.kernel)
    del call.__wrapped__  # its parameters are not the call's
    call.op = op
    op.call = call
    return call


def binary_call(op: Op, run: Callable) -> Callable:
    """The call of a two-tensor op: the road most ops take, so it is short (a µs counts here).

    `run` takes over what is not plain: other types than two arrays of one dtype.
    """
    kernel = op.kernel
    ufunc = op.ufunc
    ready = op.ready
    as_operands = op.lies == "operands"
    # A number's node may have its own name, or numbers be refused.
    fits_beside = frozenset() if op.number_form or op.numbers == "none" else ready

    def call(input, other):
        try:
            x, y = input._data, other._data
        except AttributeError:  # a Python number
            number, other = other, beside(input, other, fits_beside)
            if other is None:
                return run(op, (input, number), {})
            x, y = input._data, other._data
        if type(x) is type(y) is _ndarray and (dtype := x.dtype) is y.dtype and dtype in ready:
            try:
                data = kernel(np, x, y) if ufunc is None else ufunc(x, y)
            except ValueError as error:
                look_at_histories((input, other))
                raise promotion.explain(op, (x, y), error) from None
            if type(data) is not _ndarray:
                data = np.asarray(data)
            in_rows = as_operands and input._in_rows and other._in_rows
            if not in_rows and as_operands:
                data = as_operands_lie(np, data, (x, y))
            if (input._tracked or other._tracked) and mode.grad:
                return record(op, data, (input, other), _NOTHING, in_rows)
            return wrap(data, in_rows)
        return run(op, (input, other), {})

    return call


def _with_keywords(call: Callable, op: Op) -> Callable:
    """`torch.add(x, y, alpha=2)`, beside the call behind `x + y`, which has no keywords."""
    return lambda input, other, **values: (
        run(op, (input, other), values) if values else call(input, other))


def beside(tensor: Any, number: Any, ready: frozenset) -> Any:
    """`number` as a 0-d tensor of `tensor`'s dtype, where that is plainly its place: a float or an
    int beside a floating-point tensor. Otherwise None, and `run` does the conversion."""
    if isinstance(tensor, TensorBase) and (type(number) is float or type(number) is int):
        data = tensor._data
        if type(data) is _ndarray and data.dtype.kind == "f" and data.dtype in ready:
            return promotion.wrap_number(np.array(number, data.dtype))
    return None


def _unary(op: Op) -> Callable:
    """The call of a one-tensor op without further arguments."""
    kernel, ready = op.kernel, op.ready
    as_operands = op.lies == "operands"

    def call(input, **values):
        if values:
            return run(op, (input,), values)
        try:
            x = input._data
        except AttributeError:
            return run(op, (input,), {})
        if type(x) is _ndarray and x.dtype in ready:
            data = kernel(np, x)
            if type(data) is not _ndarray:
                data = np.asarray(data)
            in_rows = as_operands and input._in_rows
            if not in_rows and as_operands:
                data = as_operands_lie(np, data, (x,))
            if input._tracked and mode.grad:
                return record(op, data, (input,), _NOTHING, in_rows)
            return wrap(data, in_rows)
        return run(op, (input,), {})

    return call


def _general(op: Op) -> Callable:
    """The call of an op with optional inputs, keywords, a variable number of inputs or outputs."""
    count = len(op.inputs)
    if op.variadic:
        return lambda *inputs, **values: run(op, inputs, values)

    def call(*args, **values):
        if len(args) < count:
            args += tuple(values.pop(name, None) for name in op.inputs[len(args):])
        elif len(args) > count:
            values.update(zip(op.keywords, args[count:], strict=False))
            args = args[:count]
        return run(op, args, values)

    return call


def run(op: Op, inputs: tuple, values: dict) -> Any:
    """Call the kernel on converted arrays, then wrap or record what it returns."""
    if "out" in values:
        rest = {name: value for name, value in values.items() if name != "out"}
        if values["out"] is not None:
            return write_into(values["out"], op.name, op.check_out, functools.partial(run, op),
                              (inputs, rest), {}, differentiable=bool(op.rules))
        values = rest
    if op.refuse is not None:
        op.refuse(inputs)
    if op.number_form is not None and not isinstance(inputs[-1], TensorBase):
        op = op.number_form
    inputs, arrays, xp, result_dtype = op.convert(op, inputs)
    if op.refused and arrays[0].dtype.kind in op.refused:
        raise no_kernel(op.refused[arrays[0].dtype.kind], result_dtype or arrays[0].dtype)
    try:
        data = op.kernel(xp, *arrays, **values)
    except Exception as error:
        look_at_histories(inputs)
        if type(error) is ValueError:
            raise promotion.explain(op, arrays, error) from None
        if type(error) is TypeError and str(error).startswith("ufunc "):
            raise no_kernel(f"{op.name}_cpu", result_dtype or arrays[0].dtype) from None
        raise
    if result_dtype is not None:
        data = promotion.round_to(result_dtype, data)
    if op.lies != "kernel":
        data = laid_out(xp, data, op.lies, arrays)
    if mode.grad:
        for tensor in inputs:
            if tensor is not None and tensor._tracked:
                return record(op, data, inputs, values, False)
    if type(data) is tuple:
        return tuple([wrap(promotion.as_array(xp, each)) for each in data])
    return wrap(promotion.as_array(xp, data))


def no_kernel(label: str, dtype: np.dtype) -> NotImplementedError:
    """torch's words for a dtype that a kernel was not written for."""
    return NotImplementedError(f"\"{label}\" not implemented for '{dtypes.of(dtype).scalar_name}'")


# --- recording -----------------------------------------------------------------------------------

def record(op: Op, data: Any, inputs: tuple, values: dict, in_rows: bool) -> Any:
    """Wrap the kernel's result and leave a node behind, if any input needs a gradient."""
    if switches.levels and mode.level is not None:
        return mode.level.record(op, data, inputs, values)
    tensor: Any
    outputs: Any
    edges: list = []
    wanted, bit = 0, 1
    for tensor in inputs if op.every_input else [inputs[i] for i in op.differentiable]:
        if tensor is None or tensor._tracked is not True:
            edges.append(None)
        elif tensor._view is None:
            array, source = tensor._data, tensor._node
            if source is None:
                remembered = tensor._accumulator  # core.accumulator, its first steps written out
                source = (None if remembered is None else remembered()) or accumulator(tensor)
            edges.append((source, tensor._output, array.shape, array.dtype))
            wanted += bit
        elif tensor.requires_grad:
            edges.append(edge_of(tensor))  # None if the view was made without recording:
            wanted += bit if edges[-1] is not None else bit << 64  # then the plan is another one
        else:
            edges.append(None)
        bit += bit
    if not wanted:
        if type(data) is tuple:
            return tuple([wrap(promotion.as_array(np, each)) for each in data])
        return wrap(promotion.as_array(np, data))
    key = (wanted, len(edges)) if op.variadic else wanted
    plan = op.plans.get(key)
    if plan is None:
        plan = op.plans[key] = Plan(op, tuple(edge is not None for edge in edges))
    node = op.node()  # core.new_node, written out, as is wrap below: calls cost as much
    node.rank = -next_number()
    node.edges = edges
    node.plan = plan
    node.saved = node.versions = node.results = node.values = ()
    node.outputs = 1
    node.extras = None
    if plan.inputs:
        node.saved = saved = plan.pick(inputs)
        for tensor in saved:
            if tensor is not None and tensor._counter is not None:
                node.versions = versions_of(saved)
                break
    if plan.values:
        node.values = tuple([_value(op, name, inputs, values) for name in plan.values])
    if type(data) is tuple:
        node.outputs = len(data)
        outputs = tuple([wrap(promotion.as_array(np, each)) for each in data])
        for number, tensor in enumerate(outputs):
            if tensor._data.dtype in DIFFERENTIABLE:
                tensor._node, tensor._output, tensor._tracked = node, number, True
    else:
        tensor = outputs = _new(core.Tensor)
        tensor._data = data if type(data) is _ndarray else promotion.as_array(np, data)
        tensor._in_rows = in_rows or tensor._data.flags.c_contiguous
        tensor._tracked = True
        tensor._node = node
        tensor._grad = tensor._counter = tensor._view = None
        tensor._hooks = tensor._accumulator = None
        tensor._output = 0
    if plan.results:
        of = outputs if type(outputs) is tuple else (outputs,)
        node.results = tuple([(of[i]._data, version_of(of[i]), 0, i) for i in plan.results])
    if switches.watching:
        watch(node, outputs)
    return outputs


def _value(op: Op, name: str, inputs: tuple, values: dict) -> Any:
    """A keyword's value, or the shape or dtype of an input."""
    if name in op.keywords:
        return values[name] if name in values else op.defaults[name]
    name, _, what = name.rpartition("_")
    position = op.inputs.index(name)
    if op.variadic and position == len(op.inputs) - 1:
        return [_FACTS[what](tensor._data) for tensor in inputs[position:]]
    tensor = inputs[position]
    return None if tensor is None else _FACTS[what](tensor._data)


# What a rule can ask about an input without keeping its array: input_shape, other_dtype, ...
_FACTS: dict[str, Callable] = {
    "shape": lambda array: tuple(array.shape),
    "dtype": lambda array: array.dtype,
    "place": device_of,
    "layout": lambda array: (tuple(array.shape),
                             tuple([s // array.dtype.itemsize for s in array.strides])),
}


# --- views ---------------------------------------------------------------------------------------

def view(kernel: Callable | None = None, *, name: str | None = None, overload: int = 0,
         node_name: str | None = None, outputs: str = "view") -> Any:
    """A primitive whose result shares its input's memory.

    The result shares the input's version counter and remembers the tensor whose memory it is (its
    base), so that a write through either is seen by both (inplace.py). `outputs="multiple"` is for
    kernels that return a tuple of views.
    """
    if kernel is None:
        return functools.partial(view, name=name, overload=overload, node_name=node_name,
                                 outputs=outputs)
    op = Op(kernel, name or kernel.__name__, overload, "exact", ("result",), node_name)
    op.tangent = "itself"

    def call(input, *args, **values):
        if args:
            values.update(zip(op.keywords, args, strict=False))
        if not isinstance(input, TensorBase):
            op.convert(op, (input,))  # raises
        xp = ARRAY_MODULES[type(input._data)]
        try:
            data = kernel(xp, input._data, **values)
        except Exception:
            look_at_histories((input,))
            raise
        if input._tracked and mode.grad:
            result = record(op, data, (input,), values, False)
        elif type(data) is tuple:
            result = tuple([wrap(each) for each in data])
        else:
            result = wrap(data)
        origin = outputs if mode.grad is True else "inference" if mode.inference else "no_grad"
        for each in result if type(result) is tuple else (result,):
            link(each, input, origin)
        return result

    return dressed(call, op)


def link(result: TensorBase, input: TensorBase, origin: str) -> None:
    """Make `result` a view of the memory of `input`."""
    counter = result._counter = version_of(input)
    base = input
    if input._view is not None:
        base = input._view.base
        if origin == "view":
            origin = input._view.origin  # a view of a view that must not be written
    result._view = View(base, counter.count, origin)
    result._tracked = True
