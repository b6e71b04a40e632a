r"""One layer of an LSTM, GRU or RNN over whole sequences, in one direction: one op each.

Note [A recurrent layer is one op]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
Step by step a sequence of a thousand leaves ten thousand nodes behind, each too small for NumPy to
be quick. Here a layer is one node. What all steps share is done for all at once: the product of the
inputs with their weight before the loop over time, and in backward the derivatives of the gates
before the loop, the products that give the weights' and the inputs' gradients after it. In the loop
stays what needs the step before: one product and a few passes over buffers that are there already.
torch does the same for a float32 LSTM (its node's name is kept here); its other recurrent layers
are recorded step by step, so there the graphs differ.

Note [Rows of sequences]
~~~~~~~~~~~~~~~~~~~~~~~~
A batch of sequences is a matrix whose rows are the inputs of step 0, then those of step 1, and so
on; `batch_sizes` says how many rows each step has. Sequences are sorted, the longest first, so the
n rows of a step belong to the first n sequences, and `state[:n]` is what they read and write. The
states of those that have ended (or, in reverse, have not begun) simply stay: after the last step
the buffer is the final state of all.
"""

from __future__ import annotations

from typing import Any

from ..primitive import joint_derivative, primitive
from .activation import relu, tanh
from .joining import cat
from .recurrent_cells import gru_step, lstm_step, rnn_step
from .replay import gradients_of_gradients

# --- what all layers share -----------------------------------------------------------------------


def _steps(batch_sizes, reverse):
    """(the rows of a step, how many they are), in the order of computation."""
    start, steps = 0, []
    for count in batch_sizes:
        steps.append((slice(start, start + count), count))
        start += count
    return steps[::-1] if reverse else steps


def _projected(rows, weight, bias, scale=None):
    """$x W^T + b$ for all steps at once, each column times its `scale`."""
    if scale is not None:
        weight = weight * scale[:, None]
    product = rows @ weight.T
    if bias is not None:
        product += bias if scale is None else bias * scale
    return product


def _transposed(xp, weight, scale=None):
    """$W^T$ row by row: in the loop a transposed view would take half as long again."""
    transposed = xp.ascontiguousarray(weight.T)
    if scale is not None:
        transposed *= scale
    return transposed


def _begun(xp, gradient, like):
    """Where a state's gradient is gathered: a copy of what arrived for the final state."""
    return xp.zeros_like(like) if gradient is None else gradient.copy()


def _summed_rows(xp, slopes):
    """The bias's gradient; a product with ones is faster than a sum."""
    return xp.ones(len(slopes), slopes.dtype) @ slopes


def _chosen(xp, wanted, makers):
    """The gradients that are wanted; an empty array in the place of each other."""
    return tuple([make() if want else xp.empty(0) for want, make in
                  zip(wanted, makers, strict=True)])


def _only(gradients, needs):
    return tuple([gradient if need else None
                  for gradient, need in zip(gradients, needs, strict=True)])


def _recorded(cell: Any, input: Any, states: tuple, batch_sizes: tuple, reverse: bool) -> tuple:
    """The layer composed of its steps, for derivatives of derivatives: (output, *final states).

    `cell(input, *states)` gives the new states, the first of which is the output.
    """
    rows = input.reshape(-1, input.shape[-1])
    outputs = []
    for part, count in _steps(batch_sizes, reverse):
        before = [state[:count] for state in states]
        after = cell(rows[part], *before)
        outputs.append(after[0])
        states = tuple([
            new if count == len(old) else cat([new, old[count:]])
            for new, old in zip(after, states, strict=True)])
    output = cat(outputs[::-1] if reverse else outputs)
    return output.reshape(*input.shape[:-1], output.shape[-1]), *states


# --- LSTM ----------------------------------------------------------------------------------------
# Sigmoids are taken by tanh, which NumPy has fast: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2. The half
# inside goes into the weights, and the gates i, f, g, o take one tanh together.

@primitive(node_name="MkldnnRnnLayerBackward0",
           outputs=("output", "hy", "cy", "gates", "previous", "cells"))
def lstm_layer(xp, input, weight_ih, weight_hh, bias_ih, bias_hh, hx, cx, weight_hr=None, *,
               batch_sizes, reverse):
    r"""$i, f, o = \sigma(W x_t + U h_{t-1} + b)$, $g = \tanh(\ldots)$,
    $c_t = f\,c_{t-1} + i\,g$, $h_t = o \tanh c_t$, or $W_{hr}\,o \tanh c_t$ with a projection.

    Besides, for backward: the four gates, and the states that each step began with.
    """
    hidden, width = cx.shape[-1], hx.shape[-1]
    half = xp.full(4 * hidden, 0.5, input.dtype)
    half[2 * hidden:3 * hidden] = 1
    shift = 1 - half
    shift[2 * hidden:3 * hidden] = 0
    rows = input.reshape(-1, input.shape[-1])
    gates = _projected(rows, weight_ih, None if bias_ih is None else bias_ih + bias_hh, half)
    weight = _transposed(xp, weight_hh, half)
    projection = None if weight_hr is None else _transposed(xp, weight_hr)
    blocks = gates.reshape(-1, 4, hidden)
    previous, output = [xp.empty((len(rows), width), input.dtype) for _ in range(2)]
    cells = xp.empty((len(rows), hidden), input.dtype)
    h, c = hx.copy(), cx.copy()
    product, passed = xp.empty_like(gates[:len(h)]), xp.empty_like(c)
    for part, count in _steps(batch_sizes, reverse):
        previous[part], cells[part] = h[:count], c[:count]
        gate = gates[part]
        gate += xp.matmul(h[:count], weight, out=product[:count])
        xp.tanh(gate, out=gate)
        gate *= half
        gate += shift
        i, f, g, o = [blocks[part, k] for k in range(4)]
        cell, new = c[:count], passed[:count]
        cell *= f
        cell += xp.multiply(i, g, out=new)
        xp.tanh(cell, out=new)
        if projection is None:
            output[part] = xp.multiply(new, o, out=h[:count])
        else:
            new *= o
            output[part] = xp.matmul(new, projection, out=h[:count])
    return output.reshape(*input.shape[:-1], width), h, c, gates, previous, cells


@primitive(outputs=("grad_input", "grad_weight_ih", "grad_weight_hh", "grad_bias_ih",
                    "grad_bias_hh", "grad_hx", "grad_cx", "grad_weight_hr"))
def lstm_layer_backward(xp, grad_output, grad_hy, grad_cy, input, weight_ih, weight_hh, bias_ih,
                        bias_hh, hx, cx, weight_hr, gates, previous, cells, *, batch_sizes,
                        reverse, wanted):
    r"""Back through time: with $m$ the unprojected $h$, $\bar c$ gains
    $\bar m\,o\,(1 - \tanh^2 c)$; the arguments $a$ of the gates get $\bar a_i = \bar c\,g\,i(1-i)$,
    $\bar a_f = \bar c\,c_{t-1} f(1-f)$, $\bar a_g = \bar c\,i\,(1-g^2)$,
    $\bar a_o = \bar m \tanh(c)\,o(1-o)$; then $\bar h_{t-1} = U^T \bar a$ and
    $\bar c_{t-1} = \bar c f$. All factors are worked out before the loop, for all steps at once.
    """
    hidden = cx.shape[-1]
    blocks = gates.reshape(-1, 4, hidden)
    i, f, g, o = [blocks[:, k] for k in range(4)]
    squashed = f * cells
    squashed += i * g
    xp.tanh(squashed, out=squashed)
    slopes = 1 - blocks
    slopes *= blocks
    xp.multiply(g, g, out=slopes[:, 2])
    xp.subtract(1, slopes[:, 2], out=slopes[:, 2])
    slopes[:, 0] *= g
    slopes[:, 1] *= cells
    slopes[:, 2] *= i
    slopes[:, 3] *= squashed
    to_cell = squashed * squashed
    xp.subtract(1, to_cell, out=to_cell)
    to_cell *= o
    arguments = slopes.reshape(-1, 4 * hidden)
    if grad_output is not None:
        grad_output = grad_output.reshape(-1, hx.shape[-1])
    projected = xp.empty_like(previous)
    grad_h, grad_c = _begun(xp, grad_hy, hx), _begun(xp, grad_cy, cx)
    for part, count in reversed(_steps(batch_sizes, reverse)):
        h, c = grad_h[:count], grad_c[:count]
        if grad_output is not None:
            h += grad_output[part]
        m = h
        if weight_hr is not None:
            projected[part] = h
            m = h @ weight_hr
        into = to_cell[part]
        into *= m
        c += into
        slopes[part, :3] *= c[:, None]
        slopes[part, 3] *= m
        c *= f[part]
        xp.matmul(arguments[part], weight_hh, out=h)
    return _chosen(xp, wanted, (
        lambda: (arguments @ weight_ih).reshape(input.shape),
        lambda: arguments.T @ input.reshape(-1, input.shape[-1]),
        lambda: arguments.T @ previous,
        lambda: _summed_rows(xp, arguments),
        lambda: _summed_rows(xp, arguments),
        lambda: grad_h,
        lambda: grad_c,
        lambda: projected.T @ (squashed * o)))


def _lstm_rule(grads, input, weight_ih, weight_hh, bias_ih, bias_hh, hx, cx, weight_hr, gates,
               previous, cells, batch_sizes, reverse, needs):
    return _only(lstm_layer_backward(
        *grads[:3], input, weight_ih, weight_hh, bias_ih, bias_hh, hx, cx, weight_hr, gates,
        previous, cells, batch_sizes=batch_sizes, reverse=reverse, wanted=needs), needs)


def _lstm_backward_rule(grads, grad_output, grad_hy, grad_cy, input, weight_ih, weight_hh, bias_ih,
                        bias_hh, hx, cx, weight_hr, batch_sizes, reverse, wanted, needs):
    def layer(input, weight_ih, weight_hh, bias_ih, bias_hh, hx, cx, weight_hr):
        def cell(x, h, c):
            h, c = lstm_step(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh)
            return (h if weight_hr is None else h @ weight_hr.t()), c

        return _recorded(cell, input, (hx, cx), batch_sizes, reverse)

    return gradients_of_gradients(
        layer, (input, weight_ih, weight_hh, bias_ih, bias_hh, hx, cx, weight_hr),
        (grad_output, grad_hy, grad_cy), wanted, grads, needs)


_LSTM = ("input", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "hx", "cx", "weight_hr")
joint_derivative(lstm_layer, _LSTM, _lstm_rule)
joint_derivative(lstm_layer_backward, ("grad_output", "grad_hy", "grad_cy", *_LSTM),
                 _lstm_backward_rule)


# --- GRU -----------------------------------------------------------------------------------------

@primitive(outputs=("output", "hy", "gates", "added", "previous"))
def gru_layer(xp, input, weight_ih, weight_hh, bias_ih, bias_hh, hx, *, batch_sizes, reverse):
    r"""$r, z = \sigma(W x_t + U h_{t-1} + b)$, $q = U_n h_{t-1} + b_{hn}$,
    $n = \tanh(W_n x_t + b_{in} + r\,q)$, $h_t = n + z\,(h_{t-1} - n)$.

    Besides, for backward: the gates r, z, n, what r let through (q), and $h_{t-1}$ of each step.
    """
    hidden = hx.shape[-1]
    half = xp.full(3 * hidden, 0.5, input.dtype)
    half[2 * hidden:] = 1
    rows = input.reshape(-1, input.shape[-1])
    bias = bias_ih
    if bias is not None:
        bias = bias.copy()
        bias[:2 * hidden] += bias_hh[:2 * hidden]
        bias_hh = bias_hh[2 * hidden:]
    gates = _projected(rows, weight_ih, bias, half)
    weight = _transposed(xp, weight_hh, half)
    added, previous, output = [xp.empty((len(rows), hidden), input.dtype) for _ in range(3)]
    h = hx.copy()
    product, passed = xp.empty_like(gates[:len(h)]), xp.empty_like(h)
    for part, count in _steps(batch_sizes, reverse):
        state = h[:count]
        previous[part] = state
        from_state = xp.matmul(state, weight, out=product[:count])
        q = added[part]
        q[...] = from_state[:, 2 * hidden:]
        if bias is not None:
            q += bias_hh
        sigmoids, n = gates[part, :2 * hidden], gates[part, 2 * hidden:]
        sigmoids += from_state[:, :2 * hidden]
        xp.tanh(sigmoids, out=sigmoids)
        sigmoids *= 0.5
        sigmoids += 0.5
        n += xp.multiply(sigmoids[:, :hidden], q, out=passed[:count])
        xp.tanh(n, out=n)
        state -= n
        state *= sigmoids[:, hidden:]
        state += n
        output[part] = state
    return output.reshape(*input.shape[:-1], hidden), h, gates, added, previous


@primitive(outputs=("grad_input", "grad_weight_ih", "grad_weight_hh", "grad_bias_ih",
                    "grad_bias_hh", "grad_hx"))
def gru_layer_backward(xp, grad_output, grad_hy, input, weight_ih, weight_hh, bias_ih, bias_hh, hx,
                       gates, added, previous, *, batch_sizes, reverse, wanted):
    r"""Back through time: the arguments of the gates get $\bar a_n = \bar h\,(1-z)(1-n^2)$,
    $\bar a_r = \bar a_n\,q\,r(1-r)$, $\bar a_z = \bar h\,(h_{t-1}-n)\,z(1-z)$, and
    $\bar q = \bar a_n r$; then $\bar h_{t-1} = \bar h z + U^T (\bar a_r, \bar a_z, \bar q)$.
    All factors of $\bar h$ are worked out before the loop, for all steps at once.
    """
    hidden = hx.shape[-1]
    r, z, n = [gates.reshape(-1, 3, hidden)[:, k] for k in range(3)]
    slopes = xp.empty((len(gates), 4, hidden), gates.dtype)  # of r, z, q, n
    of_r, of_z, of_q, of_n = [slopes[:, k] for k in range(4)]
    xp.multiply(n, n, out=of_n)
    xp.subtract(1, of_n, out=of_n)
    xp.subtract(1, z, out=of_z)
    of_n *= of_z
    of_z *= z
    of_z *= previous - n
    xp.multiply(of_n, r, out=of_q)
    xp.subtract(1, r, out=of_r)
    of_r *= of_q
    of_r *= added
    arguments = slopes.reshape(-1, 4 * hidden)
    of_state = arguments[:, :3 * hidden]
    if grad_output is not None:
        grad_output = grad_output.reshape(-1, hidden)
    grad_h = _begun(xp, grad_hy, hx)
    through = xp.empty_like(grad_h)
    for part, count in reversed(_steps(batch_sizes, reverse)):
        h = grad_h[:count]
        if grad_output is not None:
            h += grad_output[part]
        slopes[part] *= h[:, None]
        h *= z[part]
        h += xp.matmul(of_state[part], weight_hh, out=through[:count])
    grad_weight_hh, grad_bias_hh = _chosen(xp, (wanted[2], wanted[4]), (
        lambda: of_state.T @ previous, lambda: _summed_rows(xp, of_state)))
    of_q[...] = of_n  # r, z, n: what the inputs' products went into
    return _chosen(xp, wanted, (
        lambda: (of_state @ weight_ih).reshape(input.shape),
        lambda: of_state.T @ input.reshape(-1, input.shape[-1]),
        lambda: grad_weight_hh,
        lambda: _summed_rows(xp, of_state),
        lambda: grad_bias_hh,
        lambda: grad_h))


def _gru_rule(grads, input, weight_ih, weight_hh, bias_ih, bias_hh, hx, gates, added, previous,
              batch_sizes, reverse, needs):
    return _only(gru_layer_backward(
        *grads[:2], input, weight_ih, weight_hh, bias_ih, bias_hh, hx, gates, added, previous,
        batch_sizes=batch_sizes, reverse=reverse, wanted=needs), needs)


def _gru_backward_rule(grads, grad_output, grad_hy, input, weight_ih, weight_hh, bias_ih, bias_hh,
                       hx, batch_sizes, reverse, wanted, needs):
    def layer(input, weight_ih, weight_hh, bias_ih, bias_hh, hx):
        def cell(x, h):
            return (gru_step(x, h, weight_ih, weight_hh, bias_ih, bias_hh),)

        return _recorded(cell, input, (hx,), batch_sizes, reverse)

    return gradients_of_gradients(
        layer, (input, weight_ih, weight_hh, bias_ih, bias_hh, hx), (grad_output, grad_hy), wanted,
        grads, needs)


_GRU = ("input", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "hx")
joint_derivative(gru_layer, _GRU, _gru_rule)
joint_derivative(gru_layer_backward, ("grad_output", "grad_hy", *_GRU), _gru_backward_rule)


# --- RNN -----------------------------------------------------------------------------------------

@primitive(outputs=("output", "hy", "states", "previous"))
def rnn_layer(xp, input, weight_ih, weight_hh, bias_ih, bias_hh, hx, *, batch_sizes, reverse,
              nonlinearity):
    r"""$h_t = \tanh(W x_t + U h_{t-1} + b)$, or with relu. Besides, for backward: $h_t$ and
    $h_{t-1}$ of each step, in arrays that nobody writes into."""
    rows = input.reshape(-1, input.shape[-1])
    states = _projected(rows, weight_ih, None if bias_ih is None else bias_ih + bias_hh)
    weight = _transposed(xp, weight_hh)
    previous = xp.empty_like(states)
    h = hx.copy()
    product = xp.empty_like(h)
    for part, count in _steps(batch_sizes, reverse):
        previous[part] = h[:count]
        state = states[part]
        state += xp.matmul(h[:count], weight, out=product[:count])
        if nonlinearity == "tanh":
            xp.tanh(state, out=state)
        else:
            xp.maximum(state, 0, out=state)
        h[:count] = state
    return states.copy().reshape(*input.shape[:-1], hx.shape[-1]), h, states, previous


@primitive(outputs=("grad_input", "grad_weight_ih", "grad_weight_hh", "grad_bias_ih",
                    "grad_bias_hh", "grad_hx"))
def rnn_layer_backward(xp, grad_output, grad_hy, input, weight_ih, weight_hh, bias_ih, bias_hh, hx,
                       states, previous, *, batch_sizes, reverse, nonlinearity, wanted):
    r"""Back through time: $\bar a = \bar h\,(1 - h^2)$, or $\bar h\,[h > 0]$, and
    $\bar h_{t-1} = U^T \bar a$."""
    slopes = 1 - states * states if nonlinearity == "tanh" else (states > 0).astype(states.dtype)
    if grad_output is not None:
        grad_output = grad_output.reshape(states.shape)
    grad_h = _begun(xp, grad_hy, hx)
    for part, count in reversed(_steps(batch_sizes, reverse)):
        h = grad_h[:count]
        if grad_output is not None:
            h += grad_output[part]
        slope = slopes[part]
        slope *= h
        xp.matmul(slope, weight_hh, out=h)
    return _chosen(xp, wanted, (
        lambda: (slopes @ weight_ih).reshape(input.shape),
        lambda: slopes.T @ input.reshape(-1, input.shape[-1]),
        lambda: slopes.T @ previous,
        lambda: _summed_rows(xp, slopes),
        lambda: _summed_rows(xp, slopes),
        lambda: grad_h))


def _rnn_rule(grads, input, weight_ih, weight_hh, bias_ih, bias_hh, hx, states, previous,
              batch_sizes, reverse, nonlinearity, needs):
    return _only(rnn_layer_backward(
        *grads[:2], input, weight_ih, weight_hh, bias_ih, bias_hh, hx, states, previous,
        batch_sizes=batch_sizes, reverse=reverse, nonlinearity=nonlinearity, wanted=needs), needs)


def _rnn_backward_rule(grads, grad_output, grad_hy, input, weight_ih, weight_hh, bias_ih, bias_hh,
                       hx, batch_sizes, reverse, nonlinearity, wanted, needs):
    function = tanh if nonlinearity == "tanh" else relu

    def layer(input, weight_ih, weight_hh, bias_ih, bias_hh, hx):
        def cell(x, h):
            return (rnn_step(function, x, h, weight_ih, weight_hh, bias_ih, bias_hh),)

        return _recorded(cell, input, (hx,), batch_sizes, reverse)

    return gradients_of_gradients(
        layer, (input, weight_ih, weight_hh, bias_ih, bias_hh, hx), (grad_output, grad_hy), wanted,
        grads, needs)


joint_derivative(rnn_layer, _GRU, _rnn_rule)
joint_derivative(rnn_layer_backward, ("grad_output", "grad_hy", *_GRU), _rnn_backward_rule)
