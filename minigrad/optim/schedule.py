"""What the learning-rate schedules of lr_scheduler.py are built on."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from ..core import TensorBase
from .optimizer import Optimizer, without_dimensions

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where "
    "possible. Please use `scheduler.step()` to step the scheduler. During the deprecation, if "
    "epoch is different from None, the closed form is used instead of the new chainable form, "
    "where available. Please open an issue if you are unable to replicate your use case: "
    "https://github.com/pytorch/pytorch/issues/new/choose.")
WRONG_ORDER = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, "
    "you should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  "
    "Failure to do this will result in PyTorch skipping the first value of the learning rate "
    "schedule. See more details at "
    "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate")


OVERRIDDEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler "
    "initialization. Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`. "
    "See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate")


class LRScheduler:
    """Base of the schedules: a subclass gives `get_lr()`, the rates for step `last_epoch`.

    The schedules here give `_rates()`, because their `get_lr()` warns whom it does not serve. A
    rate that is a tensor is written to; so a captured step sees it change.
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        if last_epoch == -1:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", own(group["lr"]))
        else:
            for number, group in enumerate(optimizer.param_groups):
                if "initial_lr" not in group:
                    raise KeyError("param 'initial_lr' is not specified in "
                                   f"param_groups[{number}] when resuming scheduler with "
                                   "last_epoch >= 0.\nThis typically happens when:\n1. You're "
                                   "trying to resume training from a checkpoint but haven't "
                                   "properly loaded the optimizer state\n2. You're using last_epoch"
                                   " >= 0 for a fresh training run (not recommended)")
        self.base_lrs = [own(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        if not hasattr(optimizer, "_opt_called"):
            optimizer._opt_called = False  # type: ignore[attr-defined]
            optimizer._scheduled_step = _function(optimizer.step)  # type: ignore[attr-defined]
        self._initial_step()

    def _initial_step(self) -> None:
        """Set the rates of step 0."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_last_lr(self) -> list:
        """The rates that the last step set."""
        return self._last_lr

    def get_lr(self) -> list:
        """The rates at this step, one for each group of parameters."""
        """The next rates, for `step` to set."""
        if not self._get_lr_called_within_step:
            warnings.warn("To get the last learning rate computed by the scheduler, please use "
                          "`get_last_lr()`.", UserWarning, stacklevel=2)
        return self._rates()

    def _rates(self) -> list:
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next step and set its rates."""
        if self._step_count == 1:
            optimizer: Any = self.optimizer
            if _function(optimizer.step) is not optimizer._scheduled_step:
                warnings.warn(OVERRIDDEN, UserWarning, stacklevel=2)
            elif not optimizer._opt_called:
                warnings.warn(WRONG_ORDER, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                rates = self.get_lr()
            else:
                self.last_epoch = epoch
                closed_form = getattr(self, "_get_closed_form_lr", None)
                rates = self.get_lr() if closed_form is None else closed_form()
        finally:
            self._get_lr_called_within_step = False
        self._set(rates)

    def _set(self, rates: Iterable) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_rate(group, rate)
        self._last_lr = self._present()

    def _present(self) -> list:
        return [own(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` has returned."""
        self.__dict__.update(state_dict)


def _function(step: Any) -> Any:
    return getattr(step, "__func__", step)


def own(value: Any) -> Any:
    """A number as it is; of a tensor, which may be written to, a copy."""
    return value.clone() if isinstance(value, TensorBase) else value  # type: ignore[attr-defined]


def set_rate(group: dict, rate: Any) -> None:
    """Set a group's rate: in place, if it is a tensor."""
    if isinstance(group["lr"], TensorBase):
        group["lr"].fill_(without_dimensions(rate))  # type: ignore[attr-defined]
    else:
        group["lr"] = rate


def per_group(values: Any, optimizer: Optimizer, name: str) -> list:
    """One value per group, from one value or a list of them."""
    groups = len(optimizer.param_groups)
    if not isinstance(values, list | tuple):
        values = [values] * groups
    if len(values) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(values)} "
            f"values, param_groups has {groups}.")
    return [own(value) for value in values]


def start_momentum(schedule: Any, base: Any, peak: Any, last_epoch: int) -> None:
    """Let the momentum of the schedule's optimiser go between two values, from the peak on."""
    optimizer = schedule.optimizer
    if not {"momentum", "betas"} & optimizer.defaults.keys():
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option "
                         "enabled")
    schedule.use_beta1 = "betas" in optimizer.defaults
    schedule_base = per_group(base, optimizer, "base_momentum")
    schedule_peak = per_group(peak, optimizer, "max_momentum")
    if last_epoch == -1:
        for low, high, group in zip(schedule_base, schedule_peak, optimizer.param_groups,
                                    strict=True):
            set_momentum(schedule, group, high)
            group["max_momentum"], group["base_momentum"] = high, low


def set_momentum(schedule: Any, group: dict, value: Any) -> None:
    """Set a group's momentum, which Adam and its kin call their first beta."""
    if schedule.use_beta1:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value
