r"""LSTM, GRU and RNN as functions: layers on layers, in one direction or both.

A layer in a direction is one op (recurrent_layers.py); here they are put together. In both
directions a layer's output is (*, 2 hidden), and dropout falls on what passes from layer to layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autocast_rules import autocasts
from ..core import TensorBase, mode
from .dropout import dropout
from .joining import cat, stack
from .packing import integers_of
from .recurrent_layers import gru_layer, lstm_layer, rnn_layer

__all__ = ["gru", "lstm", "rnn_relu", "rnn_tanh"]

# --- arguments -----------------------------------------------------------------------------------
# Each function has two forms: f(input, hx, params, ..., batch_first) for (steps, batch, width), and
# f(data, batch_sizes, hx, params, ...) for packed sequences.

_OPTIONS = ("params", "has_biases", "num_layers", "dropout", "train", "bidirectional")
_PADDED = ("input", "hx", *_OPTIONS, "batch_first")
_PACKED = ("data", "batch_sizes", "hx", *_OPTIONS)


def _arguments(name: str, args: tuple, named: dict, states: int) -> dict:
    """The arguments by name, whichever form the call has."""
    second, third, *_ = [*args[1:3], None, None]
    packed = "batch_sizes" in named or isinstance(second, TensorBase) and (
        states == 2 or isinstance(third, TensorBase))
    names = _PACKED if packed else _PADDED
    if len(args) > len(names):
        raise TypeError(f"{name}() takes {len(names)} positional arguments but {len(args)} were "
                        "given")
    values = {**dict(zip(names, args, strict=False)), **named}
    missing = [each for each in names if each not in values]
    if missing:
        raise TypeError(f"{name}() missing {len(missing)} required positional arguments: "
                        f'"{", ".join(missing)}"')
    return values


def _check_dtypes(input: Any, parameters: tuple) -> None:
    for other in parameters:
        if other is not None and other.dtype is not input.dtype and mode.autocast is None:
            raise RuntimeError("mat1 and mat2 must have the same dtype, but got "
                               f"{input.dtype.scalar_name} and {other.dtype.scalar_name}")


def _check_product(rows: int, width: int, weight: Any) -> None:
    if weight.size(1) != width:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{width} and "
                           f"{weight.size(1)}x{weight.size(0)})")


# --- layers on layers ----------------------------------------------------------------------------

def _run(name: str, layer: Callable, states: int, args: tuple, named: dict) -> tuple:
    """All layers: (output, final state) or, of an LSTM, (output, final h, final c).

    `layer(input, weights, initial states, batch_sizes, reverse)` computes one in one direction.
    """
    given = _arguments(name, args, named, states)
    initial: Any = given["hx"] if states == 2 else (given["hx"],)
    if len(initial) != states:
        raise RuntimeError("lstm expects two hidden states")
    directions = 2 if given["bidirectional"] else 1
    layers = _weights(given, directions, projected=states == 2 and (
        initial[0].size(2) != initial[1].size(2)))
    if any(state.size(0) != given["num_layers"] * directions for state in initial):
        raise RuntimeError("Expected more hidden states in stacked_rnn")
    if len(layers) != given["num_layers"] * directions:
        raise RuntimeError("Expected more weights in stacked_rnn")
    x, batch_sizes, batch_first = _sequences(given)
    final: list[tuple] = []
    for number in range(given["num_layers"]):
        outputs = []
        for direction in range(directions):
            place = number * directions + direction
            output, *after = layer(x, layers[place], [state[place] for state in initial],
                                   batch_sizes, direction == 1)
            outputs.append(output)
            final.append(tuple(after))
        x = outputs[0] if directions == 1 else cat(outputs, -1)
        if given["train"] and given["dropout"] and number < given["num_layers"] - 1:
            x = dropout(x, given["dropout"])
    gathered = tuple([stack(each) for each in zip(*final, strict=True)])
    return (x.transpose(0, 1) if batch_first else x, *gathered)


def _weights(given: dict, directions: int, projected: bool) -> list[tuple]:
    """For each layer and direction: weight_ih, weight_hh, bias_ih, bias_hh, weight_hr."""
    parameters = list(given["params"])
    each = (4 if given["has_biases"] else 2) + projected
    if len(parameters) % each:
        raise RuntimeError("got an incorrect number of RNN parameters")
    layers = []
    for start in range(0, len(parameters), each):
        weights = parameters[start:start + each]
        last = weights.pop() if projected else None
        layers.append((*weights, *([None] * (4 - len(weights))), last))
    if directions == 2 and len(layers) % 2:
        raise RuntimeError("Odd number of params or hiddens given to a bidirectional RNN")
    return layers


def _sequences(given: dict) -> tuple[Any, tuple, bool]:
    """(input, batch sizes, whether to transpose the output)."""
    if "batch_sizes" in given:
        data, sizes = given["data"], tuple(integers_of(given["batch_sizes"]))
        total = sum(sizes)
        return (data if data.size(0) == total else data[:total]), sizes, False
    input = given["input"]
    if given["batch_first"]:
        input = input.transpose(0, 1)
    steps, batch = input.size(0), input.size(1)
    if not steps:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    return input, (batch,) * steps, bool(given["batch_first"])


def _checked(input: Any, weights: tuple, states: list, batch_sizes: tuple) -> None:
    rows, width = input.numel() // max(1, input.size(-1)), input.size(-1)
    _check_dtypes(input, (*weights, *states))
    _check_product(rows, width, weights[0])
    _check_product(states[0].size(0), states[0].size(1), weights[1])
    if states[0].size(0) != batch_sizes[0]:
        raise RuntimeError(f"The size of tensor a ({states[0].size(0)}) must match the size of "
                           f"tensor b ({batch_sizes[0]}) at non-singleton dimension 0")


# --- the functions -------------------------------------------------------------------------------

_lstm_layer, _rnn_layer = autocasts(lstm_layer, "linear"), autocasts(rnn_layer, "linear")


def lstm(*args: Any, **named: Any) -> tuple:
    """(output, h, c) of an LSTM of any number of layers: `lstm(input, (h, c), params, ...)`."""
    def layer(input, weights, states, batch_sizes, reverse):
        _checked(input, weights, states, batch_sizes)
        *weights, weight_hr = weights
        return _lstm_layer(input, *weights, *states, weight_hr, batch_sizes=batch_sizes,
                           reverse=reverse)[:3]

    return _run("lstm", layer, 2, args, named)


def gru(*args: Any, **named: Any) -> tuple:
    """(output, h) of a GRU of any number of layers: `gru(input, h, params, ...)`."""
    def layer(input, weights, states, batch_sizes, reverse):
        _checked(input, weights, states, batch_sizes)
        return gru_layer(input, *weights[:4], *states, batch_sizes=batch_sizes, reverse=reverse)[:2]

    return _run("gru", layer, 1, args, named)


def rnn_tanh(*args: Any, **named: Any) -> tuple:
    """(output, h) of an RNN of any number of layers: `rnn_tanh(input, h, params, ...)`."""
    return _run("rnn_tanh", _rnn("tanh"), 1, args, named)


def rnn_relu(*args: Any, **named: Any) -> tuple:
    """(output, h) of an RNN of any number of layers: `rnn_relu(input, h, params, ...)`."""
    return _run("rnn_relu", _rnn("relu"), 1, args, named)


def _rnn(nonlinearity: str) -> Callable:
    def layer(input, weights, states, batch_sizes, reverse):
        _checked(input, weights, states, batch_sizes)
        return _rnn_layer(input, *weights[:4], *states, batch_sizes=batch_sizes, reverse=reverse,
                          nonlinearity=nonlinearity)[:2]

    return layer
