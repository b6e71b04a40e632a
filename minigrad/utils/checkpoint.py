"""Checkpointing: forget what a function computed, and compute it again in backward.

Memory falls from all intermediate values to the function's inputs; the price is a second forward.
There are two ways. The reentrant one (`CheckpointFunction`, the older) hides the function in one
node, whose backward runs the function again and then backward inside backward. The other one leaves
the function's own nodes in the graph, and only takes away what they saved.

Note [Running again]
~~~~~~~~~~~~~~~~~~~~
The second run must see what the first saw: the same random numbers (the generator's state is put
back), the same autocast mode, and inputs that nobody changed.

Note [The non-reentrant checkpoint]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
The function runs under hooks on saved tensors (saved.py) that keep a numbered `_Ticket` in place of
each tensor. The first ticket that backward presents makes the function run again, under hooks that
write down what is saved, in the same order; then each ticket is exchanged for the tensor of its
number. So the graph has its usual nodes, and grad(), hooks and second derivatives just work.

The function's inputs are themselves saved by a node, under the hooks that were in force around the
call. For a checkpoint inside a checkpoint these are the outer one's tickets: the inner function's
inputs are forgotten too, and come back when the outer function has run again.

The second run may stop as soon as it has saved as many tensors as the first had: an exception
thrown by the hook ends it.
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .. import autograd
from ..autograd.function import Function
from ..autograd.graph import saved_tensors_hooks
from ..core import TensorBase, mode, wrap
from ..device import array_module
from ..graph import get_grad
from ..names import missing_in
from ..random import default_generator

__all__ = ["CheckpointError", "CheckpointFunction", "DefaultDeviceType", "check_backward_validity",
           "checkpoint", "checkpoint_sequential", "detach_variable", "get_device_states",
           "noop_context_fn", "set_checkpoint_debug_enabled", "set_checkpoint_early_stop",
           "set_device_states"]

NOT_GIVEN = (
    "{}: the use_reentrant parameter should be passed explicitly. Starting in PyTorch 2.9, calling "
    "checkpoint without use_reentrant will raise an exception. use_reentrant=False is recommended, "
    "but if you need to preserve the current default behavior, you can pass use_reentrant=True. "
    "Refer to docs for more details on the differences between the two variants.")
SEQUENTIAL_NOT_GIVEN = (
    "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed "
    "explicitly. In version 2.9 we will raise an exception if use_reentrant is not passed. "
    "use_reentrant=False is recommended, but if you need to preserve the current default behavior, "
    "you can pass use_reentrant=True. Refer to docs for more details on the differences between "
    "the two variants.")


class CheckpointError(RuntimeError):
    """The second run did not do what the first did."""


def checkpoint(function: Callable, *args: Any, use_reentrant: bool | None = None,
               context_fn: Callable | None = None, determinism_check: str = "default",
               debug: bool = False, early_stop: bool = True, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, remembering its inputs only (see the notes of this module).

    `preserve_rng_state=False` (among the keywords) does not put the random numbers back.
    `context_fn` returns two contexts, for the first and for the second run. `determinism_check`
    is "default" (shapes, dtypes and devices are compared) or "none".
    """
    if use_reentrant is None:
        warnings.warn(NOT_GIVEN.format("torch.utils.checkpoint"), stacklevel=2)
        use_reentrant = True
    preserve_rng_state = kwargs.pop("preserve_rng_state", True)
    if kwargs and use_reentrant:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if use_reentrant:
        if (context_fn or noop_context_fn) is not noop_context_fn or debug is not False:
            raise ValueError("Passing `context_fn` or `debug` is only supported when "
                             "use_reentrant=False.")
        check_backward_validity(args)
        return CheckpointFunction.apply(function, preserve_rng_state, *args)
    if determinism_check not in _FACTS:
        raise ValueError(f"determinism_check should be one of {list(_FACTS)}, but got "
                         f"{determinism_check}")
    if mode.grad is not True:
        return function(*args, **kwargs)
    first, second = (context_fn or noop_context_fn)()
    frame = _Frame(function, args, kwargs, preserve_rng_state, second)
    frame.early_stop = _defaults.early_stop if _defaults.early_stop is not None else early_stop
    frame.debug = _defaults.debug if _defaults.debug is not None else debug
    frame.facts = _FACTS[determinism_check]
    with saved_tensors_hooks(frame.take, frame.give), first:
        return function(*args, **kwargs)


def checkpoint_sequential(functions: Any, segments: int, input: Any,
                          use_reentrant: bool | None = None, **kwargs: Any) -> Any:
    """A Sequential in `segments` pieces, each checkpointed but the last."""
    if use_reentrant is None:
        warnings.warn(SEQUENTIAL_NOT_GIVEN, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(functions) // segments

    def chain(pieces: list) -> Callable:
        def forward(value: Any) -> Any:
            for piece in pieces:
                value = piece(value)
            return value

        return forward

    for start in range(0, size * (segments - 1), size):
        input = checkpoint(chain(functions[start:start + size]), input,
                           use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return chain(functions[size * (segments - 1):])(input)


# --- what both ways need -------------------------------------------------------------------------

class _Circumstances:
    """The random state and the autocast mode of the first run, for the time of the second."""

    def __init__(self, preserve_rng_state: bool) -> None:
        self.autocast = mode.autocast
        self.random_state = default_generator.state_bytes() if preserve_rng_state else None

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        state = default_generator.state_bytes() if self.random_state is not None else None
        autocast, mode.autocast = mode.autocast, self.autocast
        if self.random_state is not None:
            default_generator.load_state_bytes(self.random_state)
        try:
            yield
        finally:
            mode.autocast = autocast
            if state is not None:
                default_generator.load_state_bytes(state)


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn where no input requires a gradient: the checkpoint hides the parameters behind it."""
    if not any(isinstance(each, TensorBase) and each.requires_grad for each in inputs):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None",
                      stacklevel=3)


def detach_variable(inputs: tuple) -> tuple:
    """The inputs outside the graph, each with the `requires_grad` it had."""
    if not isinstance(inputs, tuple):
        raise RuntimeError("Only tuple of tensors is supported. Got Unsupported input type: "
                           f"{type(inputs).__name__}")
    detached = []
    for each in inputs:
        if isinstance(each, TensorBase):
            requires_grad, each = each.requires_grad, each.detach()  # type: ignore[attr-defined]
            each.requires_grad = requires_grad
        detached.append(each)
    return tuple(detached)


def get_device_states(*args: Any) -> tuple[list, list]:
    """The GPUs of the arguments and their random states: none, as one generator on the host serves
    all devices."""
    return [], []


def set_device_states(devices: Any, states: Any, *, device_type: str | None = None) -> None:
    """The counterpart of `get_device_states`."""


class DefaultDeviceType:
    """The type of the device whose states are kept; minigrad has none to keep."""

    _device_type = "cuda"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Choose the device."""
        DefaultDeviceType._device_type = device

    @staticmethod
    def get_device_type() -> str:
        """The device chosen last."""
        return DefaultDeviceType._device_type


# --- the reentrant way ---------------------------------------------------------------------------

class CheckpointFunction(Function):
    """A function of tensors that keeps only its inputs (see Note [Running again])."""

    @staticmethod
    def forward(ctx: Any, function: Callable, preserve_rng_state: bool, *args: Any) -> Any:
        ctx.function, ctx.circumstances = function, _Circumstances(preserve_rng_state)
        ctx.args = [None if isinstance(arg, TensorBase) else arg for arg in args]
        ctx.at = [i for i, arg in enumerate(args) if isinstance(arg, TensorBase)]
        ctx.save_for_backward(*[args[i] for i in ctx.at])
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple:
        if mode.backward is not None and mode.backward.useful is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or "
                "passing an `inputs` parameter to .backward(). To resolve this error, you can "
                "either set use_reentrant=False, or call .backward() without passing the `inputs` "
                "argument.")
        args = list(ctx.args)
        for i, tensor in zip(ctx.at, ctx.saved_tensors, strict=True):
            args[i] = tensor
        args = list(detach_variable(tuple(args)))
        with ctx.circumstances.again(), autograd.enable_grad():
            outputs = ctx.function(*args)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        flowing = [(output, gradient) for output, gradient in zip(outputs, gradients, strict=True)
                   if isinstance(output, TensorBase) and output.requires_grad]
        if not flowing:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not "
                               "necessary")
        autograd.backward([output for output, _ in flowing], [g for _, g in flowing])
        return (None, None,
                *(get_grad(arg) if isinstance(arg, TensorBase) else None for arg in args))


# --- the non-reentrant way (Note [The non-reentrant checkpoint]) ---------------------------------

class _Defaults:
    """What the contexts below prescribe to all checkpoints inside; None: what each asks for."""

    early_stop: bool | None = None
    debug: bool | None = None


_defaults = _Defaults()


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Inside, whether second runs stop as soon as they have computed what is needed."""
    before, _defaults.early_stop = _defaults.early_stop, enable
    try:
        yield
    finally:
        _defaults.early_stop = before


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Inside, whether errors tell what both runs saved, whatever `debug=` says."""
    before, _defaults.debug = _defaults.debug, enabled
    try:
        yield
    finally:
        _defaults.debug = before


def noop_context_fn() -> tuple:
    """No context for either run."""
    return contextlib.nullcontext(), contextlib.nullcontext()


_FACTS: dict[str, Callable] = {
    "default": lambda tensor: {"shape": tensor.shape, "dtype": tensor.dtype,
                               "device": tensor.device},
    "none": lambda tensor: None,
}


class _Inputs(Function):
    """A node that saves the tensors of a call."""

    @staticmethod
    def forward(ctx: Any, marker: Any, *tensors: Any) -> Any:
        ctx.save_for_backward(*tensors)
        return wrap(array_module(marker._data).empty(0))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise AssertionError("nothing flows through the node that keeps a checkpoint's inputs")


class _Ticket:
    """What a node keeps in the place of a tensor: its number among all that was saved."""

    __slots__ = ("number", "__weakref__")

    def __init__(self, number: int) -> None:
        self.number = number


class _EnoughComputed(Exception):
    """Ends the second run."""


class _Frame:
    """One checkpointed call: hands out tickets, and runs again when the first is presented."""

    early_stop: bool
    debug: bool
    facts: Callable

    def __init__(self, function: Callable, args: tuple, kwargs: dict, preserve_rng_state: bool,
                 second_context: Any) -> None:
        self.function, self.second_context = function, second_context
        self.circumstances = _Circumstances(preserve_rng_state)
        values = [*args, *kwargs.values()]
        self.names = list(kwargs)
        self.constants = [None if isinstance(each, TensorBase) else each for each in values]
        self.places = [i for i, each in enumerate(values) if isinstance(each, TensorBase)]
        marker = wrap(array_module(self._array_in(values)).empty(0))
        marker._tracked = True
        self.inputs = _Inputs.apply(marker, *[values[i] for i in self.places]).grad_fn
        self.tickets: list[weakref.ref] = []
        self.known: list = []  # the facts about each tensor that was saved
        self.computed: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    @staticmethod
    def _array_in(values: list) -> Any:
        import numpy

        return next((each._data for each in values if isinstance(each, TensorBase)),
                    numpy.empty(0))

    def take(self, tensor: Any) -> _Ticket:
        """The pack hook of the first run."""
        ticket = _Ticket(len(self.tickets))
        self.tickets.append(weakref.ref(ticket))
        self.known.append(self.facts(tensor))
        return ticket

    def give(self, ticket: _Ticket) -> Any:
        """The unpack hook of the first run."""
        run: Any = mode.backward
        if run is None:  # somebody looks at node._saved_result
            return self._run_again()[ticket.number]
        if run not in self.computed:
            self.computed[run] = self._run_again()
        tensors = self.computed[run]
        if ticket.number not in tensors:
            raise CheckpointError(
                "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already "
                "unpacked once. If you are calling ctx.saved_tensors in backward, make sure to do "
                "so only once. Otherwise please open an issue with details on your use case.")
        return tensors.pop(ticket.number)

    def _run_again(self) -> dict[int, Any]:
        """All that the function saves, by number."""
        found: list = []
        alive = {number for number, ticket in enumerate(self.tickets) if ticket() is not None}
        last = max(alive, default=-1)

        def write_down(tensor: Any) -> Any:
            if len(found) < len(self.tickets):
                self._compare(len(found), tensor)
            found.append(tensor.detach())
            if self.early_stop and len(found) == last + 1:
                raise _EnoughComputed
            return found[-1]

        values = list(self.constants)
        for place, tensor in zip(self.places, self.inputs.saved_tensors, strict=True):
            values[place] = tensor
        values = list(detach_variable(tuple(values)))
        count = len(values) - len(self.names)
        kwargs = dict(zip(self.names, values[count:], strict=True))
        with contextlib.suppress(_EnoughComputed), self.circumstances.again(), \
                saved_tensors_hooks(write_down, lambda tensor: tensor), \
                autograd.enable_grad(), self.second_context:
            self.function(*values[:count], **kwargs)
        if not self.early_stop and len(found) != len(self.tickets) or len(found) < last + 1:
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                "original forward and recomputation.\nNumber of tensors saved during forward: "
                f"{len(self.tickets)}\nNumber of tensors saved during recomputation: "
                f"{len(found)}." + self._log(found))
        return {number: found[number] for number in alive}

    def _compare(self, number: int, tensor: Any) -> None:
        facts = self.facts(tensor)
        if facts != self.known[number]:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different"
                f" metadata than during the forward pass.\ntensor at position {number}:\nsaved "
                f"metadata: {self.known[number]}\nrecomputed metadata: {facts}."
                + self._log([tensor]))

    def _log(self, found: list) -> str:
        """What both runs saved, for `debug=True`."""
        if not self.debug:
            return ("\nTip: To see a more detailed error message, either pass `debug=True` to "
                    "`torch.utils.checkpoint.checkpoint(...)` or wrap the code block with `with "
                    "torch.utils.checkpoint.set_checkpoint_debug_enabled(True):` to enable "
                    "checkpoint-debug mode globally.")
        lines = [f"  {number}: {facts}" for number, facts in enumerate(self.known)]
        lines += ["saved by the second run, up to here:"]
        lines += [f"  {number}: {self.facts(tensor)}" for number, tensor in enumerate(found)]
        return "\nsaved by the first run:\n" + "\n".join(lines)


__getattr__ = missing_in(__name__)
