"""`autograd.Function`: an op whose forward and backward the user writes.

    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 2 * x

    y = Square.apply(x)

Note [What apply does]
~~~~~~~~~~~~~~~~~~~~~~
Forward runs under no_grad: what happens inside is the user's business, and the graph gets one node,
`SquareBackward`. Its backward runs in the engine's grad mode, on ordinary tensors, so that it is
recorded in turn under `create_graph=True`. Afterwards each returned tensor is put in its place:

    an ordinary tensor       becomes an output of the node
    marked as dirty          an input written in place; it takes over the node as `mul_` would
    an input as it came      is returned as a view of itself: two histories cannot share one tensor
    not differentiable       stays outside the graph
"""

from __future__ import annotations

import functools
import inspect
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from ..core import (
    FREED,
    INFERENCE,
    Node,
    TensorBase,
    Version,
    edge_of,
    mode,
    new_node,
    rebuild,
    switches,
    version_of,
    wrap,
)
from ..device import array_module
from ..dtypes import DIFFERENTIABLE
from ..graph_errors import INFERENCE_SAVED, SECOND_BACKWARD, overwritten
from ..inplace import _rebase, check_may_record
from ..primitive import link
from ..saved import Packed, hooks_in_force, watch
from ..tangents import NoTangents, Outside, set_tangent, zeros_like
from .grad_mode import enable_grad, no_grad


class FunctionCtx:
    """What forward leaves for backward: tensors by `save_for_backward`, the rest as attributes."""

    needs_input_grad: tuple[bool, ...] = ()
    saved_for_forward: tuple | None = None
    _in_jvp = False

    def __init__(self) -> None:
        self._to_save: tuple = ()
        self._saved: Any = None
        self._dirty: tuple = ()
        self._non_differentiable: tuple = ()
        self._materialize = True
        self._node: Callable[[], Any] = lambda: None

    def save_for_backward(self, *tensors: TensorBase | None) -> None:
        """Keep inputs or outputs for backward, which gets them from `ctx.saved_tensors`."""
        for position, tensor in enumerate(tensors):
            if not (tensor is None or isinstance(tensor, TensorBase)):
                raise TypeError("save_for_backward can only save variables, but argument "
                                f"{position} is of type {type(tensor).__name__}")
        self._to_save = tensors

    def save_for_forward(self, *tensors: TensorBase | None) -> None:
        """Keep inputs or outputs for jvp, which gets them from `ctx.saved_tensors`."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *tensors: TensorBase) -> None:
        """Say which inputs forward has written in place. They must be returned."""
        self._dirty = tensors

    def mark_shared_storage(self, *pairs: Any) -> None:
        """torch's old name for what happens by itself now."""
        warnings.warn("mark_shared_storage is deprecated. Tensors with shared storages are "
                      "automatically tracked. Note that calls to `set_()` are not tracked",
                      FutureWarning, stacklevel=2)

    def mark_non_differentiable(self, *tensors: TensorBase) -> None:
        """Say which outputs have no gradient; backward still receives zeros for them."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward sees zeros (True, the default) or None for outputs nobody used."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple:
        """The tensors saved in forward, each checked to be unchanged since."""
        if self._in_jvp and self.saved_for_forward is not None:
            return self.saved_for_forward
        if self._saved is FREED:
            raise RuntimeError(SECOND_BACKWARD)
        if self._saved is None:
            return ()  # forward is still running
        return tuple([saved() for saved in self._saved])

    def _keep(self, outputs: list, node: Node) -> None:
        """Turn what was saved into callables that check and return it."""
        self._node = weakref.ref(node)
        hooks = hooks_in_force()
        self._saved = [self._keeper(tensor, outputs) if hooks is None or tensor is None
                       else self._packed(tensor, outputs, hooks) for tensor in self._to_save]
        self._to_save = ()

    def _packed(self, tensor: TensorBase, outputs: list, hooks: tuple) -> Callable[[], Any]:
        """See Note [Hooks on saved tensors]."""
        number = next((i for i, output in enumerate(outputs) if output is tensor), None)
        packed = Packed(tensor, hooks, own=number is not None)
        if number is None or not tensor.requires_grad:
            return packed.tensor
        node, place = self._node, number
        return lambda: rebuild(node(), packed.tensor()._data, Version(), place)

    def _keeper(self, tensor: Any, outputs: list) -> Callable[[], Any]:
        if tensor is None:
            return lambda: None
        number = next((i for i, output in enumerate(outputs) if output is tensor), None)
        counter = version_of(tensor)
        if counter is INFERENCE:
            raise RuntimeError(INFERENCE_SAVED)
        version = counter.count
        if number is None:
            def unchanged():
                if counter.count != version:
                    raise RuntimeError(_modified(tensor, counter.count, version))
                return tensor

            return unchanged
        # An output is kept as its bare array: see Note [Saved tensors] in core.py.
        array, node = tensor._data, self._node

        def output():
            result = rebuild(node(), array, counter, number) \
                if tensor_has_history else wrap(array)
            if counter.count != version:
                raise RuntimeError(_modified(result, counter.count, version))
            return result

        tensor_has_history = tensor.requires_grad
        tensor = None
        return output


def _modified(tensor: TensorBase, found: int, expected: int) -> str:
    return overwritten(
        tensor, found, expected, "it was saved with `ctx.save_for_backward` and a later in-place "
        "op overwrote it. Write that op out of place, or save a clone.")


class FunctionNode(Node):
    """The node of a Function; its `backward` is the user's. It shows the attributes of `ctx`."""

    __slots__ = ("ctx", "tensor_inputs", "output_info")
    function: type[Function]

    ctx: FunctionCtx
    tensor_inputs: list[bool]  # for each argument of forward: whether it was a tensor
    output_info: list          # for each output: (array module, shape, dtype), or None

    def apply(self, gradients: Any) -> list:
        grads = list(gradients)
        if self.ctx._materialize:
            for i, info in enumerate(self.output_info):
                if grads[i] is None and info is not None:
                    xp, shape, dtype = info
                    grads[i] = wrap(xp.zeros(shape, dtype))
        derived = self.function._run_backward(self.ctx, *grads)
        if not isinstance(derived, tuple):
            derived = (derived,)
        return self._of_tensors(list(derived))

    def _of_tensors(self, derived: list) -> list:
        """The gradients of the arguments that were tensors; the others must have None."""
        expected = len(self.tensor_inputs)
        if len(derived) > expected and all(each is None for each in derived[expected:]):
            del derived[expected:]
        if len(derived) != expected:
            raise RuntimeError(f"function {self.name()} returned an incorrect number of gradients "
                               f"(expected {expected}, got {len(derived)})")
        for position, (gradient, was_tensor) in enumerate(
                zip(derived, self.tensor_inputs, strict=True)):
            if gradient is None:
                continue
            if not was_tensor:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position "
                    f"{position + 1}, but the corresponding forward input was not a Variable")
            if not isinstance(gradient, TensorBase):
                raise RuntimeError(f"expected Variable or None (got {type(gradient).__name__})")
        kept = [each for each, tensor in zip(derived, self.tensor_inputs, strict=True) if tensor]
        for edge, gradient in zip(self.edges, kept, strict=True):
            if (edge is not None and gradient is not None and edge[3].kind == "f"
                    and gradient.dtype.is_complex):
                raise RuntimeError(
                    "Expected isFloatingType(grad.scalar_type()) || (input_is_complex == "
                    "grad_is_complex) to be true, but got false. (Could this error message be "
                    "improved? If so, please report an enhancement request to PyTorch.)")
        return kept

    def release(self) -> None:
        if self.ctx._saved:
            self.ctx._saved = FREED

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "ctx":
            raise AttributeError(attribute)
        try:
            return getattr(self.ctx, attribute)
        except AttributeError:
            raise AttributeError(
                f"'{self.name()}' object has no attribute '{attribute}'") from None


class Function:
    """Base of the user's ops: define static `forward` and `backward`, call `apply`."""

    _node_class: type[FunctionNode]
    generate_vmap_rule = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._node_class = type(f"{cls.__name__}Backward", (FunctionNode,),
                               {"__slots__": (), "function": cls})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(f"{type(self)} should not be instantiated. Methods on autograd functions are "
                      "all static, so you should invoke them on the class itself. Instantiating an "
                      "autograd function will raise an error in a future version of PyTorch.",
                      DeprecationWarning, stacklevel=2)

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """`forward(ctx, *args)`, or `forward(*args)` beside a `setup_context`."""
        raise NotImplementedError("You must implement the forward function for custom "
                                  "autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        """Save what backward needs, where forward does not take `ctx`."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """One gradient per argument of forward (None where there is none)."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD.")

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """One tangent per output of forward, from those of its arguments (None: not a tensor)."""
        raise NotImplementedError("You must implement the jvp function for custom "
                                  "autograd.Function to use it with forward mode AD.")

    @classmethod
    def _run_backward(cls, ctx: FunctionCtx, *grads: Any) -> Any:
        own_backward = cls.backward is not Function.backward
        if own_backward and cls.vjp is not Function.vjp:
            raise RuntimeError("Implementing both 'backward' and 'vjp' for a custom Function is "
                               "not allowed. You should only implement one of them.")
        return (cls.backward if own_backward else cls.vjp)(ctx, *grads)

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward and record it (see Note [What apply does])."""
        if cls is Function:
            cls.forward()
        ctx = FunctionCtx()
        separate = cls.setup_context is not Function.setup_context
        if separate:  # forward has the user's own signature, so its defaults count as inputs
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
        elif kwargs:
            args = inspect.signature(cls.forward).bind(ctx, *args, **kwargs).args[1:]
        tensors = [arg for arg in args if isinstance(arg, TensorBase)]
        ctx.needs_input_grad = tuple(
            isinstance(arg, TensorBase) and arg.requires_grad for arg in args)
        recording = mode.grad is True and any(ctx.needs_input_grad)
        node = None
        if recording:
            node = new_node(cls._node_class, [
                edge_of(tensor) if tensor.requires_grad else None for tensor in tensors])
            node.ctx = ctx
            node.tensor_inputs = [isinstance(arg, TensorBase) for arg in args]
        with no_grad() if mode.level is None else NoTangents():
            if separate:
                returned = cls.forward(*args)
                cls.setup_context(ctx, args, returned)
            else:
                returned = cls.forward(ctx, *args)
            several = isinstance(returned, tuple)
            outputs = list(returned) if several else [returned]
            unreturned = [t for t in ctx._dirty if not any(t is output for output in outputs)]
            if unreturned:
                raise RuntimeError(
                    "Some elements marked as dirty during the forward method were not returned as "
                    "output. The inputs that are modified inplace must all be outputs of the "
                    "Function.")
        final = [_place(output, number, node, ctx, tensors, several and len(outputs) > 1)
                 for number, output in enumerate(outputs)]
        if node is not None:
            node.outputs = len(outputs)
            node.output_info = [_info(output) for output in final]
            if not any(isinstance(t, TensorBase) and t._node is node for t in final):
                node = None
            else:
                ctx._to_save = tuple([
                    next((after for before, after in zip(outputs, final, strict=True)
                          if before is saved and not any(saved is t for t in tensors)), saved)
                    for saved in ctx._to_save])
                ctx._keep(final, node)
                if switches.watching:
                    watch(node, tuple(final))
        if mode.level is not None:
            _set_tangents(cls, ctx, args, final, mode.level)
        return tuple(final) if several else final[0]


def _set_tangents(function: type[Function], ctx: FunctionCtx, args: tuple, outputs: list,
                  level: Any) -> None:
    """Run the user's jvp, at the outermost level first."""
    if level.outer is not None:
        _set_tangents(function, ctx, args, outputs, level.outer)
    with Outside(level):
        tangents = [level.of(arg) if isinstance(arg, TensorBase) else None for arg in args]
        if all(each is None for each in tangents):
            return
        if ctx._materialize:
            tangents = [zeros_like(arg) if tangent is None and isinstance(arg, TensorBase)
                        else tangent for arg, tangent in zip(args, tangents, strict=True)]
        ctx._in_jvp = True
        derived = function.jvp(ctx, *tangents)
        ctx._in_jvp = False
        if not isinstance(derived, tuple):
            derived = (derived,)
        if len(derived) != len(outputs):
            raise RuntimeError("Function's jvp returned an invalid number of forward gradients "
                               f"(expected {len(outputs)} but got {len(derived)})")
        for number, (output, tangent) in enumerate(zip(outputs, derived, strict=True)):
            if isinstance(tangent, TensorBase):
                if any(output is dirty for dirty in ctx._dirty):
                    level.overwrite(output, tangent)
                elif isinstance(output, TensorBase):
                    set_tangent(level, output, tangent)
            elif tangent is not None:
                raise RuntimeError(f"expected Variable or None (got {type(tangent).__name__}) for "
                                   f"grad output {number}.")


def _info(output: Any) -> tuple | None:
    if not isinstance(output, TensorBase):
        return None
    return array_module(output._data), output._data.shape, output._data.dtype


def _place(output: Any, number: int, node: FunctionNode | None, ctx: FunctionCtx,
           inputs: list, several: bool) -> Any:
    """Give a tensor that forward returned its place in the graph."""
    if not isinstance(output, TensorBase):
        return output
    dirty = any(output is tensor for tensor in ctx._dirty)
    constant = (any(output is tensor for tensor in ctx._non_differentiable)
                or output._data.dtype not in DIFFERENTIABLE)
    if any(output is tensor for tensor in inputs) and not dirty:
        base, output = output, wrap(output._data)
        link(output, base, "function")
        if constant:
            output._view = None
            output._tracked = False
    if constant or node is None:
        if dirty:
            version_of(output).count += 1
        return output
    if dirty:
        if output._view is None and output.requires_grad and output.grad_fn is None:
            raise RuntimeError("a leaf Variable that requires grad has been used in an in-place "
                               "operation.")
        check_may_record(output)
        version_of(output).count += 1  # after the check, which asks for the history as it was
        if output._view is not None:
            _rebase(output, node)
            return output
    elif output._view is not None:
        output._view.origin = "multiple" if several else "function"
        output._view.seen = version_of(output).count
    output._node, output._output, output._tracked = node, number, True
    return output


def once_differentiable(backward: Callable) -> Callable:
    """For a `backward` that is not itself differentiable: a second derivative raises an error."""

    @functools.wraps(backward)
    def first_order(ctx: FunctionCtx, *grads: Any) -> Any:
        with no_grad():
            derived = backward(ctx, *grads)
        if mode.grad is not True or not any(
                isinstance(g, TensorBase) and g.requires_grad for g in grads):
            return derived
        several = isinstance(derived, tuple)
        with enable_grad():
            guarded = [_Refuse.apply(each, *[g for g in grads if g is not None])
                       if isinstance(each, TensorBase) else each
                       for each in (derived if several else (derived,))]
        return tuple(guarded) if several else guarded[0]

    return first_order


class _Refuse(Function):
    """The identity, with an error in place of a gradient."""

    @staticmethod
    def forward(ctx: Any, derived: Any, *grads: Any) -> Any:
        return wrap(derived._data)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with "
                           "@once_differentiable")
