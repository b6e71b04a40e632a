"""Recurrent layers: a state is carried from element to element of a sequence."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

from ...core import mode
from ...ops import recurrent, recurrent_cells
from .. import init
from ..utils.rnn import PackedSequence
from .linear import new_parameter
from .module import Module

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_NO_PROJECTION = "proj_size argument is only supported for LSTM, not RNN or GRU"


class _Recurrent(Module):
    """What layers and cells share: the initial values."""

    hidden_size: int

    def reset_parameters(self) -> None:
        """Every parameter from U(-k, k), with $k = 1 / \\sqrt{\\text{hidden\\_size}}$."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)


# --- layers over sequences -----------------------------------------------------------------------

class RNNBase(_Recurrent):
    """What RNN, LSTM and GRU share: parameters, checks, and the way in and out.

    The parameters of layer k are weight_ih_l{k}, weight_hh_l{k}, bias_ih_l{k}, bias_hh_l{k}, with a
    projection weight_hr_l{k}, and the same with _reverse for the other direction.
    """

    def __init__(self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1,
                 bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
                 bidirectional: bool = False, proj_size: int = 0, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        _check_options(self, dropout)
        directions = 2 if bidirectional else 1
        state_size = proj_size or hidden_size
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            width = input_size if layer == 0 else state_size * directions
            for direction in range(directions):
                gates = _GATES[mode] * hidden_size
                shapes: dict[str, Any] = {"weight_ih": (gates, width),
                                          "weight_hh": (gates, state_size)}
                if bias:
                    shapes |= {"bias_ih": gates, "bias_hh": gates}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                for name, shape in shapes.items():
                    setattr(self, name + suffix, new_parameter(shape, device, dtype))
                self._all_weights.append([name + suffix for name in shapes])
        self.reset_parameters()

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Any]:
        return [weight for weights in self.all_weights for weight in weights]

    def flatten_parameters(self) -> None:
        """Nothing: it is there for programs that call it for cuDNN's sake."""

    def check_input(self, input: Any, batch_sizes: Any) -> None:
        """Raise, in torch's words, for an input of another dtype, rank or size."""
        weight = getattr(self, self._all_weights[0][0])
        if input.dtype is not weight.dtype and mode.autocast is None:
            raise ValueError(f"RNN input dtype ({input.dtype}) does not match weight dtype "
                             f"({weight.dtype}). Convert input: input.to({weight.dtype}), or "
                             f"convert model: model.to({input.dtype})")
        dims = 3 if batch_sizes is None else 2
        if input.dim() != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError("input.size(-1) must be equal to input_size. Expected "
                               f"{self.input_size}, got {input.size(-1)}")

    def get_expected_hidden_size(self, input: Any, batch_sizes: Any) -> tuple[int, int, int]:
        """The shape of the state h."""
        return self._state_shape(_batch_of(self, input, batch_sizes),
                                 self.proj_size or self.hidden_size)

    def _state_shape(self, batch: int, width: int) -> tuple[int, int, int]:
        return self.num_layers * (2 if self.bidirectional else 1), batch, width

    def check_hidden_size(self, hx: Any, expected_hidden_size: tuple[int, int, int],
                          msg: str = "Expected hidden size {}, got {}") -> None:
        """Raise, in torch's words, for a state of another shape."""
        if tuple(hx.size()) != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input: Any, hidden: Any, batch_sizes: Any) -> None:
        """Both checks, of what `forward` was given."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Any) -> Any:
        """The state in the order of sorted sequences, or back."""
        return hx if permutation is None else hx.index_select(1, permutation)

    def _initial(self, input: Any, batch: int) -> Any:
        return input.new_zeros(self._state_shape(batch, self.proj_size or self.hidden_size))

    def _call(self, input: Any, batch_sizes: Any, hidden: Any) -> tuple:
        """(output, final state) from the function of this kind of layer."""
        function = getattr(recurrent, self.mode.lower())
        options = (self._flat_weights, self.bias, self.num_layers, self.dropout, self.training,
                   self.bidirectional)
        if batch_sizes is None:
            output, *state = function(input, hidden, *options, self.batch_first)
        else:
            output, *state = function(input, batch_sizes, hidden, *options)
        return output, state[0] if len(state) == 1 else tuple(state)

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> tuple:
        input, batch_sizes, order, back = packed
        if hx is None:
            hx = self._initial(input, int(batch_sizes[0]))
        else:
            hx = self.permute_hidden(hx, order)
        self.check_forward_args(input, hx, batch_sizes)
        output, hidden = self._call(input, batch_sizes, hx)
        return (PackedSequence(output, batch_sizes, order, back),
                self.permute_hidden(hidden, back))

    def forward(self, input: Any, hx: Any = None) -> tuple:
        """(output of the last layer at each step, final state of each layer).

        input is (L, N, width), with `batch_first` (N, L, width), without a batch (L, width), or
        packed. States are (layers * directions, N, size), zeros if none are given.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        kind = self.mode.partition("_")[0]
        if input.dim() not in (2, 3):
            tensor = " tensor" if kind == "RNN" else ""
            raise ValueError(f"{kind}: Expected input to be 2D or 3D, got {input.dim()}D{tensor} "
                             "instead")
        batched, batch_dim = input.dim() == 3, 0 if self.batch_first else 1
        if hx is not None:
            self._check_dims(hx, batched)
        if not batched:
            input = input.unsqueeze(batch_dim)
            hx = None if hx is None else _each(hx, lambda state: state.unsqueeze(1))
        if hx is None:
            hx = self._initial(input, input.size(batch_dim))
        self.check_forward_args(input, hx, None)
        output, hidden = self._call(input, None, hx)
        if batched:
            return output, hidden
        return output.squeeze(batch_dim), _each(hidden, lambda state: state.squeeze(1))

    def _check_dims(self, hx: Any, batched: bool) -> None:
        dims, case = (3, "batched 3-D") if batched else (2, "unbatched 2-D")
        if hx.dim() != dims:
            raise RuntimeError(f"For {case} input, hx should also be {dims}-D but got "
                               f"{hx.dim()}-D tensor")

    def extra_repr(self) -> str:
        shown = [f"{self.input_size}, {self.hidden_size}"]
        for name, usual in (("proj_size", 0), ("num_layers", 1), ("bias", True),
                            ("batch_first", False), ("dropout", 0), ("bidirectional", False)):
            if getattr(self, name) != usual:
                shown.append(f"{name}={getattr(self, name)}")
        return ", ".join(shown)


def _each(states: Any, change: Any) -> Any:
    return tuple([change(each) for each in states]) if isinstance(states, tuple | list) \
        else change(states)


def _batch_of(module: RNNBase, input: Any, batch_sizes: Any) -> int:
    if batch_sizes is not None:
        return int(batch_sizes[0])
    return input.size(0) if module.batch_first else input.size(1)


def _check_options(module: RNNBase, dropout: Any) -> None:
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) \
            or not 0 <= dropout <= 1:  # type: ignore[operator]
        raise ValueError("dropout should be a number in range [0, 1] representing the probability "
                         "of an element being zeroed")
    if dropout > 0 and module.num_layers == 1:  # type: ignore[operator]
        warnings.warn("dropout option adds dropout after all but last recurrent layer, so non-zero "
                      f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                      f"num_layers={module.num_layers}", stacklevel=4)
    for name, kind in (("bias", bool), ("batch_first", bool), ("input_size", int),
                       ("hidden_size", int)):
        value = getattr(module, name)
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: "
                            f"{type(value).__name__}")
        if kind is int and value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if module.num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if module.proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if module.proj_size >= module.hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if module.mode not in _GATES:
        raise ValueError("Unrecognized RNN mode: " + module.mode)


class RNN(RNNBase):
    r"""$h_t = \tanh(W x_t + b + U h_{t-1} + b')$, or with relu; Elman's network."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError(_NO_PROJECTION)
        if len(args) > 3:
            nonlinearity, args = args[3], (*args[:3], *args[4:])
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or "
                             "'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    r"""$i, f, o = \sigma(W x_t + b + U h_{t-1} + b')$, $g = \tanh(\ldots)$,
    $c_t = f\,c_{t-1} + i\,g$, $h_t = o \tanh c_t$, or $W_{hr}$ times that with `proj_size`.

    The state is the pair (h, c). Hochreiter and Schmidhuber, "Long short-term memory", 1997.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Any, batch_sizes: Any) -> tuple[int, int, int]:
        """The shape of the state c."""
        return self._state_shape(_batch_of(self, input, batch_sizes), self.hidden_size)

    def check_forward_args(self, input: Any, hidden: Any, batch_sizes: Any) -> None:
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden[0], self.get_expected_hidden_size(input, batch_sizes),
                               "Expected hidden[0] size {}, got {}")
        self.check_hidden_size(hidden[1], self.get_expected_cell_size(input, batch_sizes),
                               "Expected hidden[1] size {}, got {}")

    def permute_hidden(self, hx: Any, permutation: Any) -> Any:
        return tuple([RNNBase.permute_hidden(self, each, permutation) for each in hx])

    def _initial(self, input: Any, batch: int) -> Any:
        return (RNNBase._initial(self, input, batch),
                input.new_zeros(self._state_shape(batch, self.hidden_size)))

    def _check_dims(self, hx: Any, batched: bool) -> None:
        dims, case = (3, "batched 3-D") if batched else (2, "unbatched 2-D")
        if hx[0].dim() != dims or hx[1].dim() != dims:
            raise RuntimeError(f"For {case} input, hx and cx should also be {dims}-D but got "
                               f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors")


class GRU(RNNBase):
    r"""$r, z = \sigma(W x_t + b + U h_{t-1} + b')$,
    $n = \tanh(W_n x_t + b_n + r\,(U_n h_{t-1} + b'_n))$, $h_t = (1 - z)\,n + z\,h_{t-1}$.

    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError(_NO_PROJECTION)
        super().__init__("GRU", *args, **kwargs)


# --- cells: one step -----------------------------------------------------------------------------

class RNNCellBase(_Recurrent):
    """What the cells share: the parameters and the way in and out of a batch."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int,
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        self.weight_ih = new_parameter((gates, input_size), device, dtype)
        self.weight_hh = new_parameter((gates, hidden_size), device, dtype)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, new_parameter(gates, device, dtype) if bias else None)
        self.reset_parameters()

    def _weights(self) -> tuple:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _step(self, function: Any, input: Any, hx: Any) -> Any:
        """The new state, for a batch or without."""
        _check_cell(self, input, "input")
        if hx is not None:
            _check_cell(self, hx, "hidden")
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            hx = input.new_zeros((input.size(0), self.hidden_size))
        elif not batched:
            hx = hx.unsqueeze(0)
        result = function(input, hx, *self._weights())
        return result if batched else result.squeeze(0)

    def extra_repr(self) -> str:
        shown = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            shown += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return shown if nonlinearity == "tanh" else f"{shown}, nonlinearity={nonlinearity}"


def _check_cell(cell: RNNCellBase, tensor: Any, what: str) -> None:
    if tensor.dim() not in (1, 2):
        raise ValueError(f"{type(cell).__name__}: Expected {what} to be 1D or 2D, got "
                         f"{tensor.dim()}D instead")


class RNNCell(RNNCellBase):
    r"""One step of an RNN: $\tanh(W x + b + U h + b')$, or with relu."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True,
                 nonlinearity: str = "tanh", device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        function = recurrent_cells.rnn_tanh_cell if self.nonlinearity == "tanh" \
            else recurrent_cells.rnn_relu_cell
        return self._step(function, input, hx)


class LSTMCell(RNNCellBase):
    """One step of an LSTM, from the states (h, c) to the next two."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> tuple:
        _check_cell(self, input, "input")
        for place, state in enumerate(hx or ()):
            _check_cell(self, state, f"hx[{place}]")
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            zeros = input.new_zeros((input.size(0), self.hidden_size))
            hx = zeros, zeros
        elif not batched:
            hx = hx[0].unsqueeze(0), hx[1].unsqueeze(0)
        h, c = recurrent_cells.lstm_cell(input, hx, *self._weights())
        return (h, c) if batched else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of a GRU."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        return self._step(recurrent_cells.gru_cell, input, hx)
