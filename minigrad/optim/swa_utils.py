"""Averages of a model's weights over time: stochastic weight averaging and exponential means."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from .. import dtypes
from ..autograd.grad_mode import no_grad
from ..core import TensorBase
from ..names import missing_in
from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module
from ..ops.from_data import tensor
from .optimizer import Optimizer
from .schedule import LRScheduler, per_group

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
           "get_swa_multi_avg_fn", "update_bn"]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] "
                         "range.")


def _can_lerp(tensors: Any) -> bool:
    return tensors[0].dtype.is_floating_point or tensors[0].dtype.is_complex


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    r"""For `multi_avg_fn`: $a \leftarrow \beta a + (1 - \beta) p$ for lists of tensors."""
    _check_decay(decay)

    @no_grad()
    def ema_update(averaged: Any, current: Any, _: Any) -> None:
        for mean, value in zip(averaged, current, strict=True):
            if _can_lerp(averaged):
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(mean * decay + value * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> Callable:
    r"""For `multi_avg_fn`: $a \leftarrow a + (p - a) / (n + 1)$ for lists of tensors."""

    @no_grad()
    def swa_update(averaged: Any, current: Any, num_averaged: Any) -> None:
        for mean, value in zip(averaged, current, strict=True):
            if _can_lerp(averaged):
                mean.lerp_(value, float(1 / (num_averaged + 1)))
            elif isinstance(num_averaged, TensorBase):
                mean.addcdiv_(value - mean, num_averaged + 1)  # type: ignore[operator]
            else:
                mean.add_(value - mean, alpha=1.0 / (num_averaged + 1))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    r"""For `avg_fn`: $\beta a + (1 - \beta) p$."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Callable:
    r"""For `avg_fn`: $a + (p - a) / (n + 1)$, the mean of all so far."""

    @no_grad()
    def swa_update(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are the average of those that it is shown.

    Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018.
    """

    n_averaged: Any

    def __init__(self, model: Module, device: Any = None, avg_fn: Callable | None = None,
                 multi_avg_fn: Callable | None = None, use_buffers: bool = False) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module: Any = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=dtypes.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the parameters of `model` into the average; its buffers too, or as they are."""
        mine: Any
        theirs: Any
        if self.use_buffers:
            mine, theirs = (itertools.chain(each.parameters(), each.buffers())
                            for each in (self.module, model))
        else:
            mine, theirs = self.parameters(), model.parameters()
        pairs = [(mean.detach(), value.detach().to(mean.device))
                 for mean, value in zip(mine, theirs, strict=False)]
        if self.n_averaged == 0:
            for mean, value in pairs:
                mean.copy_(value)
        elif self.multi_avg_fn is not None:
            groups: dict[Any, list] = {}
            for mean, value in pairs:
                groups.setdefault((mean.device, mean.dtype), []).append((mean, value))
            for (device, _), alike in groups.items():
                self.multi_avg_fn([mean for mean, _ in alike], [value for _, value in alike],
                                  self.n_averaged.to(device))
        else:
            average = self.avg_fn or get_swa_avg_fn()
            for mean, value in pairs:
                mean.copy_(average(mean, value, self.n_averaged.to(mean.device)))
        if not self.use_buffers:
            for mine_, theirs_ in zip(self.module.buffers(), model.buffers(), strict=True):
                mine_.detach().copy_(theirs_.detach().to(mine_.device))
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Measure the statistics of all batch normalisation layers anew, over one pass of `loader`."""
    layers: dict[Any, Any] = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            layers[module] = module.momentum
    if not layers:
        return
    was_training = model.training
    model.train()
    for layer in layers:
        layer.momentum = None  # the plain mean over all batches
    for batch in loader:
        data = batch[0] if isinstance(batch, list | tuple) else batch
        model(data if device is None else data.to(device))
    for layer, momentum in layers.items():
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneal to `swa_lr` in `anneal_epochs` steps and stay there."""

    def __init__(self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10,
                 anneal_strategy: str = "cos", last_epoch: int = -1) -> None:
        for rate, group in zip(per_group(swa_lr, optimizer, "swa_lr"), optimizer.param_groups,
                               strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError("anneal_strategy must be one of 'cos' or 'linear', instead got "
                             f"{anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError("anneal_epochs must be equal or greater than 0, got "
                             f"{anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """How much of the way is done when `t` of the steps are."""
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def _rates(self) -> list:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (self.anneal_func(max(0, min(1, each / max(1, self.anneal_epochs))))
                       for each in (step - 1, step))
        rates = []
        for group in self.optimizer.param_groups:
            goal, start = group["swa_lr"], group["lr"]
            start = goal if before == 1 else (start - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates


__getattr__ = missing_in(__name__)
