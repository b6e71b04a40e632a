"""AdaptiveLogSoftmaxWithLoss: a softmax over very many classes, most of them rare.

Note [Head and clusters]
~~~~~~~~~~~~~~~~~~~~~~~~
Classes are sorted by frequency and cut into parts. The head scores each class of the first part and
each later part as a whole. A later part, a cluster, is scored by a layer of its own, through ever
fewer features, and only for the samples that need it:

    ln p(class) = ln p(cluster) + ln p(class | cluster)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module


class _ASMoutput(NamedTuple):
    output: Any  # the log probability of each sample's target
    loss: Any    # minus their mean


class AdaptiveLogSoftmaxWithLoss(Module):
    """The log probability of the target, and the loss (Note [Head and clusters])."""

    def __init__(self, in_features: int, n_classes: int, cutoffs: Sequence[int],
                 div_value: float = 4.0, head_bias: bool = False, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (cutoffs != sorted(set(cutoffs)) or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1
                or any(int(each) != each for each in cutoffs)):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
                "order, where each value is between 1 and n_classes-1")
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, device, dtype)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            features = int(in_features // div_value ** (i + 1))
            self.tail.append(Sequential(Linear(in_features, features, False, device, dtype),
                                        Linear(features, high - low, False, device, dtype)))

    def reset_parameters(self) -> None:
        self.head.reset_parameters()
        for inner, outer in self.tail:
            inner.reset_parameters()
            outer.reset_parameters()

    def forward(self, input_: Any, target_: Any) -> _ASMoutput:
        _check(input_, target_)
        single = target_.dim() == 0
        input, target = (input_.unsqueeze(0), target_.unsqueeze(0)) if single else (input_, target_)
        output = input.new_zeros(target.size(0))
        column = target.new_empty(target.size(0))  # of the head's scores, for each sample
        found = 0
        for i, (low, high) in enumerate(itertools.pairwise([0, *self.cutoffs])):
            inside = (target >= low) & (target < high)
            rows = inside.nonzero().squeeze()
            if not rows.numel():
                continue
            found += rows.numel()
            if i == 0:
                column.index_copy_(0, rows, target[inside])
                continue
            in_cluster = target[inside] - low
            scores = self.tail[i - 1](input.index_select(0, rows))
            column.index_fill_(0, rows, self.shortlist_size + i - 1)
            log_p = F.log_softmax(scores, dim=1).gather(1, in_cluster.unsqueeze(1))
            output.index_copy_(0, rows, log_p.squeeze(1))
        if found != target.size(0):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. ")
        head = F.log_softmax(self.head(input), dim=1)
        output += head.gather(1, column.unsqueeze(1)).squeeze()
        loss = (-output).mean()
        return _ASMoutput(output.squeeze(0) if single else output, loss)

    def _all_log_probabilities(self, input: Any, head_scores: Any) -> Any:
        head = F.log_softmax(head_scores, dim=1)
        result = input.new_empty((head.size(0), self.n_classes))
        result[:, :self.shortlist_size] = head[:, :self.shortlist_size]
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            inside = F.log_softmax(self.tail[i](input), dim=1)
            result[:, low:high] = inside + head[:, self.shortlist_size + i].unsqueeze(1)
        return result

    def log_prob(self, input: Any) -> Any:
        """The log probability of every class, (N, n_classes)."""
        return self._all_log_probabilities(input, self.head(input))

    def predict(self, input: Any) -> Any:
        """The most probable class; clusters are looked into only where one might win."""
        scores = self.head(input)
        result = scores.argmax(dim=1)
        open_ = result >= self.shortlist_size
        if not open_.any():
            return result
        if open_.all():
            return self._all_log_probabilities(input, scores).argmax(dim=1)
        result[open_] = self._all_log_probabilities(input[open_], scores[open_]).argmax(dim=1)
        return result


def _check(input: Any, target: Any) -> None:
    if target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if target.dim() == 1 and input.size(0) != target.size(0):
        raise RuntimeError("Input and target should have the same size in the batch dimension.")
    if input.dim() != target.dim() + 1:
        raise RuntimeError(f"{target.dim()}D target tensor expects {target.dim() + 1}D input "
                           f"tensors, but found inputs with size {input.size()}")
