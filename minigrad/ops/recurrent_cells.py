"""One step of an LSTM, GRU or RNN, composed of products and gates as in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import TensorBase
from .activation import relu, sigmoid, tanh
from .copies import unsafe_chunk
from .linear import linear

__all__ = ["gru_cell", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell"]


# --- the steps -----------------------------------------------------------------------------------

def lstm_step(x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any,
              bias_hh: Any) -> tuple:
    r"""$i, f, o = \sigma(W x + U h + b)$, $g = \tanh(W_g x + U_g h + b_g)$; the new $c$ is
    $f\,c + i\,g$, the new $h$ is $o \tanh c$."""
    gates = linear(h, weight_hh, bias_hh).add_(linear(x, weight_ih, bias_ih))
    i, f, g, o = unsafe_chunk(gates, 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru_step(x: Any, h: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> Any:
    r"""$r, z = \sigma(W x + U h + b)$, $n = \tanh(W_n x + b_{in} + r\,(U_n h + b_{hn}))$; the new
    $h$ is $n + z\,(h - n)$."""
    of_input = unsafe_chunk(linear(x, weight_ih, bias_ih), 3, 1)
    of_state = unsafe_chunk(linear(h, weight_hh, bias_hh), 3, 1)
    r = sigmoid(of_state[0].add_(of_input[0]))
    z = sigmoid(of_state[1].add_(of_input[1]))
    n = tanh(of_input[2].add(of_state[2].mul_(r)))
    return (h - n).mul_(z).add_(n)


def rnn_step(nonlinearity: Callable, x: Any, h: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any,
             bias_hh: Any) -> Any:
    r"""The new $h$ is $\tanh(W x + U h + b)$, or with relu."""
    return nonlinearity(linear(h, weight_hh, bias_hh).add_(linear(x, weight_ih, bias_ih)))


# --- the functions -------------------------------------------------------------------------------

def _check(input: Any, states: tuple, weight_ih: Any, weight_hh: Any, gates: int) -> None:
    if input.size(1) != weight_ih.size(1):
        raise RuntimeError(f"input has inconsistent input_size: got {input.size(1)} expected "
                           f"{weight_ih.size(1)}")
    hidden = weight_hh.size(1)
    for number, state in enumerate(states):
        if input.size(0) != state.size(0):
            raise RuntimeError(f"Input batch size {input.size(0)} doesn't match hidden{number} "
                               f"batch size {state.size(0)}")
        if state.size(1) != hidden:
            raise RuntimeError(f"hidden{number} has inconsistent hidden_size: got {state.size(1)}, "
                               f"expected {hidden}")
    if gates == 3 and weight_ih.size(0) != 3 * hidden:
        raise RuntimeError(f"weight_ih first dim must be 3 * hidden_size = {3 * hidden}, but got "
                           f"{weight_ih.size(0)}")


def lstm_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None,
              b_hh: Any = None) -> tuple:
    """One step of an LSTM from the states `hx`, a pair (h, c), to the next two."""
    if isinstance(hx, TensorBase):
        raise TypeError("lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, not "
                        "Tensor")
    if len(hx) != 2:
        raise RuntimeError("lstm_cell expects two hidden states")
    h, c = hx
    _check(input, (h, c), w_ih, w_hh, 4)
    return lstm_step(input, h, c, w_ih, w_hh, b_ih, b_hh)


def gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """One step of a GRU from the state `hx` to the next."""
    _check(input, (hx,), w_ih, w_hh, 3)
    return gru_step(input, hx, w_ih, w_hh, b_ih, b_hh)


def rnn_tanh_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None,
                  b_hh: Any = None) -> Any:
    """One step of an RNN with tanh from the state `hx` to the next."""
    _check(input, (hx,), w_ih, w_hh, 1)
    return rnn_step(tanh, input, hx, w_ih, w_hh, b_ih, b_hh)


def rnn_relu_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None,
                  b_hh: Any = None) -> Any:
    """One step of an RNN with relu from the state `hx` to the next."""
    _check(input, (hx,), w_ih, w_hh, 1)
    return rnn_step(relu, input, hx, w_ih, w_hh, b_ih, b_hh)
