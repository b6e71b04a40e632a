"""Connectionist temporal classification: how likely a sequence of frames spells out a target.

Graves et al., "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with
Recurrent Neural Networks", 2006.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase, wrap
from ..device import array_module, host
from ..primitive import derivative, primitive
from .choosing import where
from .from_data import tensor
from .no_derivative import no_derivative

__all__ = ["ctc_loss", "ctc_loss_by_number"]

# Note [States of a target]
# ~~~~~~~~~~~~~~~~~~~~~~~~~
# A target "ab" may be spelt by the frames in many ways: each letter for one or more frames, and
# between the letters any number of blanks. So its states are the labels _ a _ b _ (2S + 1 of them
# for S letters), and a way through them moves on by one state or stays at each frame; it may also
# skip a blank, unless that stands between two equal letters. `alpha` at frame t, state s is the
# logarithm of the probability of all ways there, up to and with that frame. All states of all
# samples move together: the only loop is over the frames. Those states of a shorter target that
# exist only for the longest one in the batch lie behind its end, where no way to its end leads.

_MINUS_INF = float("-inf")


def _log_sum(xp, *terms):
    """The logarithm of the sum of exponentials, -inf where all terms are."""
    top = terms[0]
    for term in terms[1:]:
        top = xp.maximum(top, term)
    top = xp.where(top == _MINUS_INF, top.dtype.type(0), top)
    total = xp.exp(terms[0] - top)
    for term in terms[1:]:
        total += xp.exp(term - top)
    return xp.log(total) + top


def _skips(xp, labels):
    """Which states may be entered from the one before the last."""
    skips = xp.zeros(labels.shape, bool)
    skips[:, 2:] = labels[:, 2:] != labels[:, :-2]
    return skips


def _moved(xp, scores, skips):
    """The sum over the ways into each state: from itself, the last, or the one before that."""
    count, states = scores.shape
    before = xp.full((count, states + 2), _MINUS_INF, scores.dtype)
    before[:, 2:] = scores
    over = xp.where(skips, before[:, :-2], scores.dtype.type(_MINUS_INF))
    return _log_sum(xp, scores, before[:, 1:-1], over)


@primitive(name="ctc_loss", outputs=("neg_log_likelihood", "log_alpha"))
def _ctc_loss(xp, log_probs, labels, *, input_lengths, target_lengths, zero_infinity):
    r"""$-\ln(\alpha_{T, 2S} + \alpha_{T, 2S - 1})$, and $\ln\alpha$ itself: see
    Note [States of a target]."""
    frames, count, _ = log_probs.shape
    alpha = xp.zeros((count, frames, labels.shape[1]), log_probs.dtype)
    skips = _skips(xp, labels)
    entering = xp.full(labels.shape, _MINUS_INF, log_probs.dtype)
    entering[:, :2] = 0
    for t in range(max(input_lengths)):
        scores = entering + xp.take_along_axis(log_probs[t], labels, axis=1)
        alpha[:, t] = scores
        entering = _moved(xp, scores, skips)
    lengths, letters = xp.asarray(input_lengths), xp.asarray(target_lengths)
    last = alpha[xp.arange(count), xp.maximum(lengths - 1, 0)]
    at_end = xp.take_along_axis(last, 2 * letters[:, None], axis=1)[:, 0]
    before_end = xp.take_along_axis(last, xp.maximum(2 * letters - 1, 0)[:, None], axis=1)[:, 0]
    infinity = last.dtype.type("inf")
    loss = -_log_sum(xp, at_end, xp.where(letters > 0, before_end, -infinity))
    unspelt = xp.where(letters > 0, infinity, last.dtype.type(0))  # what no frames at all spell
    return xp.where(lengths > 0, loss, unspelt), alpha


@primitive(node_name="NotImplemented")
def ctc_loss_backward(xp, grad_output, log_probs, labels, neg_log_likelihood, log_alpha, *,
                      input_lengths, target_lengths, zero_infinity):
    r"""$\bar x_{t,c} = \bar\ell\,(e^{x_{t,c}} - \gamma_{t,c})$, where $\gamma$ is the share of the
    ways that are at label $c$ at frame $t$.

    As in torch this is the gradient in what `log_softmax` was taken of: the first term is that
    op's. The ways from a state to the end are counted backwards, so here the states run backwards.
    """
    frames, count, classes = log_probs.shape
    labels = labels[:, ::-1]
    states = labels.shape[1]
    skips = _skips(xp, labels)
    lengths, letters = xp.asarray(input_lengths), xp.asarray(target_lengths)
    from_end = xp.arange(states)[::-1] - 2 * letters[:, None]  # 0 or -1: a way may end here
    ends = xp.where((from_end == 0) | ((from_end == -1) & (letters[:, None] > 0)),
                    log_probs.dtype.type(0), log_probs.dtype.type(_MINUS_INF))
    places = xp.arange(count)[:, None] * classes + labels
    leaving = xp.full(labels.shape, _MINUS_INF, log_probs.dtype)
    shares = xp.zeros(log_probs.shape, log_probs.dtype)
    for t in reversed(range(max(input_lengths))):
        leaving = xp.where((lengths == t + 1)[:, None], ends, leaving)
        share = xp.exp(log_alpha[:, t, ::-1] + leaving + neg_log_likelihood[:, None])
        shares[t] = xp.bincount(places.ravel(), weights=share.ravel(),
                                minlength=count * classes).reshape(count, classes)
        leaving = _moved(xp, leaving + xp.take_along_axis(log_probs[t], labels, axis=1), skips)
    impossible = xp.isinf(neg_log_likelihood)[:, None]
    result = (xp.exp(log_probs) - shares) * grad_output[:, None]
    result = xp.where(impossible | (log_probs == _MINUS_INF), result.dtype.type("nan"), result)
    counted = (xp.arange(frames)[:, None] < lengths)[:, :, None]
    if zero_infinity:
        counted = counted & ~impossible
    return xp.where(counted, result, result.dtype.type(0))


derivative(_ctc_loss,
    log_probs=lambda grads, log_probs, labels, neg_log_likelihood, log_alpha, input_lengths,
        target_lengths, zero_infinity: ctc_loss_backward(
            grads[0], log_probs, labels, neg_log_likelihood, log_alpha,
            input_lengths=input_lengths, target_lengths=target_lengths,
            zero_infinity=zero_infinity))
_refuse = no_derivative("_ctc_loss_backward")
derivative(ctc_loss_backward, grad_output=_refuse, log_probs=_refuse, neg_log_likelihood=_refuse)


# --- the arguments -------------------------------------------------------------------------------

_WHERE = " (while checking arguments for ctc_loss_allocate_outputs)"


def _lengths(lengths: Any, name: str) -> list[int]:
    if not isinstance(lengths, TensorBase):
        return list(lengths)
    if lengths._data.dtype.kind not in "biu":
        raise RuntimeError(f"{name} must be integral")
    return host(lengths._data).reshape(-1).tolist()


def _check(log_probs: Any, targets: Any, input_lengths: list, target_lengths: list,
           blank: int) -> None:
    if log_probs._data.size == 0:
        raise RuntimeError("log_probs tensor must not be empty")
    if log_probs.dtype.name not in ("float32", "float64"):
        raise NotImplementedError("\"ctc_loss_cpu\" not implemented for "
                                  f"'{log_probs.dtype.scalar_name}'")
    if log_probs._data.ndim != 3:
        raise RuntimeError(f"Expected 3-dimensional tensor, but got {log_probs._data.ndim}-"
                           f"dimensional tensor for argument #1 'log_probs'{_WHERE}")
    shape = targets._data.shape
    if not 1 <= len(shape) <= 2:
        raise RuntimeError(f"Expected 1 to 2 dimensions, but got {len(shape)}-dimensional tensor "
                           f"for argument #2 'targets'{_WHERE}")
    frames, count, classes = log_probs._data.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    if len(input_lengths) != count:
        raise RuntimeError("input_lengths must be of size batch_size")
    if len(target_lengths) != count:
        raise RuntimeError("target_lengths must be of size batch_size")
    _check_least(target_lengths, "target_lengths")
    needed = sum(target_lengths) if len(shape) == 1 else count
    if shape[0] != needed:
        raise RuntimeError(f"Expected tensor to have size {needed} at dimension 0, but got size "
                           f"{shape[0]} for argument #2 'targets'{_WHERE}")
    if len(shape) == 2 and shape[1] < max(target_lengths):
        raise RuntimeError(f"Expected tensor to have size at least {max(target_lengths)} at "
                           f"dimension 1, but got size {shape[1]} for argument #2 "
                           f"'targets'{_WHERE}")
    _check_least(input_lengths, "input_lengths")
    if max(input_lengths) > frames:
        raise RuntimeError(f"Expected input_lengths to have value at most {frames}, but got value "
                           f"{max(input_lengths)}{_WHERE}")


def _check_least(lengths: list, name: str) -> None:
    if min(lengths) < 0:
        raise RuntimeError(f"Expected {name} to have value at least 0, but got value "
                           f"{min(lengths)}{_WHERE}")


def _labels(targets: Any, lengths: list, blank: int, classes: int) -> Any:
    """The label of each state, (N, 2S + 1) for the longest target's S letters; blanks where a
    shorter target has ended. `targets` are rows, or all targets one after the other."""
    data = targets._data
    xp = array_module(data)
    longest = max(lengths)
    inside = xp.arange(longest) < xp.asarray(lengths)[:, None]
    if data.ndim == 1:
        letters = xp.zeros(inside.shape, np.int64)
        letters[inside] = data.astype(np.int64)
    else:
        letters = data[:, :longest].astype(np.int64)
    letters = xp.where(inside, letters, blank)
    if ((letters < 0) | (letters >= classes)).any():
        raise IndexError(f"ctc_loss: a target is not in the label range, 0 to {classes - 1}")
    labels = xp.full((len(lengths), 2 * longest + 1), blank, np.int64)
    labels[:, 1::2] = letters
    return wrap(labels)


def _each_loss(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int,
               zero_infinity: bool) -> Any:
    input_lengths = _lengths(input_lengths, "input_lengths")
    target_lengths = _lengths(target_lengths, "target_lengths")
    _check(log_probs, targets, input_lengths, target_lengths, blank)
    labels = _labels(targets, target_lengths, blank, log_probs._data.shape[2])
    return _ctc_loss(log_probs, labels, input_lengths=input_lengths,
                     target_lengths=target_lengths, zero_infinity=zero_infinity)[0]


@autocasts
def ctc_loss_by_number(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any,
                       blank: int = 0, reduction: int = 0, zero_infinity: bool = False) -> Any:
    """`torch.ctc_loss`, whose `reduction` is a number: 1 is "mean", 2 "sum", others are "none".

    torch's documentation gives 1 for its default; its Python binding has 0.
    """
    listed = [isinstance(lengths, list | tuple) for lengths in (input_lengths, target_lengths)]
    tensors = [isinstance(lengths, TensorBase) for lengths in (input_lengths, target_lengths)]
    if not (all(listed) or all(tensors)) or isinstance(reduction, str):
        kinds = [type(each).__name__ for each in (log_probs, targets, input_lengths,
                                                  target_lengths, blank, reduction, zero_infinity)]
        raise TypeError(f"ctc_loss() received an invalid combination of arguments - got "
                        f"({', '.join(kinds)})")
    alone = log_probs._data.ndim != 3
    losses = _each_loss(log_probs.unsqueeze(1) if alone else log_probs, targets, input_lengths,
                        target_lengths, blank, zero_infinity)
    if zero_infinity:
        losses = where(losses == float("inf"), losses.new_zeros(()), losses)
    if reduction == 1:
        if all(listed):
            target_lengths = tensor(target_lengths, dtype=losses.dtype, device=losses.device)
        return (losses / target_lengths.clamp_min(1)).mean()
    if reduction == 2:
        return losses.sum()
    return losses.squeeze(0) if alone else losses


_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


@autocasts
def ctc_loss(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0,
             reduction: str = "mean", zero_infinity: bool = False) -> Any:
    """Minus the logarithm of the probability that the frames spell out the target.

    `log_probs` (T, N, C) are the logarithms of each frame's probabilities of the labels, one of
    which is the `blank`; `targets` are (N, S), or one after the other in a vector. "mean" divides
    each loss by its target's length first. A target that its frames cannot spell has an infinite
    loss; with `zero_infinity` that, and its gradient, are 0.
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return ctc_loss_by_number(log_probs, targets, input_lengths, target_lengths, blank,
                              _REDUCTIONS[reduction], zero_infinity)
