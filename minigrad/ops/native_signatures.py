"""Functions of torch's own namespace that take other arguments than torch.nn.functional's of the
same name: torch.softmax(x, dim, dtype), torch.dropout(x, p, train), reductions by number.

They belong to torch's C++ side and say what they want in its order; the work is done elsewhere.
"""

from __future__ import annotations

from typing import Any

from . import batch_norm as batch_norms
from . import dropout as drop
from . import embedding as table
from . import margin_loss as margins
from . import norm as norms
from . import probability_loss as losses
from . import softmax as soft

__all__ = [
    "alpha_dropout", "alpha_dropout_", "batch_norm", "binary_cross_entropy_with_logits",
    "cosine_embedding_loss", "dropout", "dropout_", "embedding", "embedding_renorm_",
    "feature_alpha_dropout", "feature_alpha_dropout_", "feature_dropout", "feature_dropout_",
    "group_norm", "hinge_embedding_loss", "instance_norm", "kl_div", "log_softmax",
    "margin_ranking_loss", "poisson_nll_loss", "softmax", "triplet_margin_loss"]


# --- softmax -------------------------------------------------------------------------------------

def softmax(input: Any, dim: int, dtype: Any = None, *, out: Any = None) -> Any:
    """Positive numbers that sum to 1 along `dim`, in the ratios of $e^a$."""
    return soft.softmax(input, dim, dtype=dtype, out=out)


def log_softmax(input: Any, dim: int, dtype: Any = None, *, out: Any = None) -> Any:
    """The logarithm of softmax, computed without the loss of small probabilities."""
    return soft.log_softmax(input, dim, dtype=dtype, out=out)


# --- losses: reduction 0 is "none", 1 "mean", 2 "sum" --------------------------------------------

_REDUCTIONS = ("none", "mean", "sum")


def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0,
                          reduction: int = 1) -> Any:
    r"""$1 - \cos(a, b)$ where $y = 1$, $\max(0, \cos(a, b) - m)$ where $y = -1$."""
    return margins.cosine_embedding_loss(input1, input2, target, margin,
                                         reduction=_REDUCTIONS[reduction])


def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, reduction: int = 1) -> Any:
    r"""$x$ where $y = 1$, $\max(0, m - x)$ where $y = -1$."""
    return margins.hinge_embedding_loss(input, target, margin, reduction=_REDUCTIONS[reduction])


def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0,
                        reduction: int = 1) -> Any:
    r"""$\max(0, -y(a - b) + m)$."""
    return margins.margin_ranking_loss(input1, input2, target, margin,
                                       reduction=_REDUCTIONS[reduction])


def triplet_margin_loss(anchor: Any, positive: Any, negative: Any, margin: float = 1.0,
                        p: float = 2, eps: float = 1e-6, swap: bool = False,
                        reduction: int = 1) -> Any:
    r"""$\max(0, m + d(a, p) - d(a, n))$."""
    return margins.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap,
                                       reduction=_REDUCTIONS[reduction])


def kl_div(input: Any, target: Any, reduction: int = 1, *, log_target: bool = False) -> Any:
    r"""$y(\ln y - x)$ for log probabilities $x$."""
    loss = losses.kl_div(input, target, reduction="none", log_target=log_target)
    return losses.reduce_loss(loss, _REDUCTIONS[reduction])


def poisson_nll_loss(input: Any, target: Any, log_input: bool, full: bool, eps: float,
                     reduction: int) -> Any:
    r"""$e^x - yx$ for the logarithm $x$ of a rate; else $x - y\ln(x + \epsilon)$."""
    return losses.poisson_nll_loss(input, target, log_input, full, eps=eps,
                                   reduction=_REDUCTIONS[reduction])


def binary_cross_entropy_with_logits(input: Any, target: Any, weight: Any = None,
                                     pos_weight: Any = None, reduction: int = 1) -> Any:
    r"""$-(y \ln \sigma(x) + (1 - y)\ln(1 - \sigma(x)))$."""
    return losses.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_REDUCTIONS[reduction], pos_weight=pos_weight)


# --- rows of a table -----------------------------------------------------------------------------

def embedding(weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False,
              sparse: bool = False) -> Any:
    """The rows of `weight` (count, width) numbered by `indices`; `padding_idx`, unless it is -1,
    gets no gradient."""
    return table.embedding(indices, weight, None if padding_idx < 0 else padding_idx,
                           scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)


def embedding_renorm_(weight: Any, indices: Any, max_norm: float, norm_type: float) -> Any:
    """Scale the rows of `weight` that are numbered by `indices` down to `max_norm`, in place."""
    table.renorm_rows(weight, indices._data, max_norm, norm_type)
    return weight


# --- normalisation -------------------------------------------------------------------------------

def batch_norm(input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any,
               training: bool, momentum: float, eps: float, cudnn_enabled: bool) -> Any:
    """Mean 0 and variance 1 for each channel (dimension 1) over all else."""
    return batch_norms.batch_norm(input, running_mean, running_var, weight, bias, training,
                                  momentum, eps)


def instance_norm(input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any,
                  use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool) -> Any:
    """`batch_norm` of each sample on its own."""
    return batch_norms.instance_norm(input, running_mean, running_var, weight, bias,
                                     use_input_stats, momentum, eps)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None,
               eps: float = 1e-5, cudnn_enabled: bool = True) -> Any:
    """Mean 0 and variance 1 in each of `num_groups` groups of channels (dimension 1)."""
    return norms.group_norm(input, num_groups, weight, bias, eps)


# --- dropout -------------------------------------------------------------------------------------

def dropout(input: Any, p: float, train: bool) -> Any:
    """Each element is zeroed with probability `p`, the others are divided by 1 - p."""
    return drop.dropout(input, p, train)


def dropout_(input: Any, p: float, train: bool) -> Any:
    """In-place version of `dropout`."""
    return drop.dropout(input, p, train, inplace=True)


def feature_dropout(input: Any, p: float, train: bool) -> Any:
    """Whole feature maps (dimensions 0 and 1 number them) are zeroed together."""
    return drop.feature_dropout(input, p, train)


def feature_dropout_(input: Any, p: float, train: bool) -> Any:
    """In-place version of `feature_dropout`."""
    return drop.feature_dropout(input, p, train, inplace=True)


def alpha_dropout(input: Any, p: float, train: bool) -> Any:
    """Dropout for networks of selu: mean and variance are kept."""
    return drop.alpha_dropout(input, p, train)


def alpha_dropout_(input: Any, p: float, train: bool) -> Any:
    """In-place version of `alpha_dropout`."""
    return drop.alpha_dropout(input, p, train, inplace=True)


def feature_alpha_dropout(input: Any, p: float, train: bool) -> Any:
    """`alpha_dropout` of whole feature maps."""
    return drop.feature_alpha_dropout(input, p, train)


def feature_alpha_dropout_(input: Any, p: float, train: bool) -> Any:
    """In-place version of `feature_alpha_dropout`."""
    return drop.feature_alpha_dropout(input, p, train, inplace=True)
