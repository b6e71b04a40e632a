"""An optimiser whose parameters and state are lent to it for a while."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ..core import TensorBase
from .optimizer import Optimizer

__all__ = ["swap_in_optimizer_params_and_state"]

_NAME = "swap_in_optimizer_params_and_state"


@contextlib.contextmanager
def swap_in_optimizer_params_and_state(
        optimizer: Optimizer, swapin_parameters: dict[str, Any],
        swapin_optim_state: dict[str, Any]) -> Iterator[None]:
    """Inside the block the optimiser has these parameters (in the order of its own) and this state,
    as `state_dict()` gives it; afterwards its own again, unchanged. What a step does to tensors of
    the state is seen by its owner; what it adds to or takes from the dictionaries is not.
    """
    state, lent = _checked(optimizer, swapin_parameters, swapin_optim_state)
    own_state, own_groups = optimizer.state, [dict(group) for group in optimizer.param_groups]
    try:
        found: defaultdict[Any, dict] = defaultdict(dict)
        for group, (parameters, options) in zip(optimizer.param_groups, lent, strict=True):
            group.update(options, params=parameters)
            for parameter, number in zip(parameters, options["params"], strict=True):
                found[parameter] = dict(state.get(number, {}))
        optimizer.state = found
        yield
    finally:
        for group, own in zip(optimizer.param_groups, own_groups, strict=True):
            group.clear()
            group.update(own)
        optimizer.state = own_state


def _checked(optimizer: Optimizer, parameters: dict, saved: Any) -> tuple[dict, list]:
    """The state by numbers, and for each group its new parameters and its options."""
    _require(bool(optimizer.state), f"{_NAME} requires initialized optimizer state.")
    _require(isinstance(saved, dict), f"{_NAME} requires a DCP-style optimizer state_dict.")
    state, groups = saved.get("state"), saved.get("param_groups")
    _check_state(state)
    _require(isinstance(groups, list), f"{_NAME} requires swapin_optim_state['param_groups'] to be "
             f"a list of param-group dicts, got {type(groups).__name__}.")
    _require(len(optimizer.param_groups) == len(groups), "swapin_optim_state has a different number"
             " of parameter groups than the live optimizer.")
    rest, known, lent = list(parameters.values()), set(), []
    for index, (group, options) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        _check_group(index, group, options)
        numbers = options["params"]
        known.update(numbers)
        _require(len(rest) >= len(numbers), f"{_NAME} requires the explicit parameter state to "
                 "match optimizer.param_groups ordering.")
        lent.append((rest[:len(numbers)], options))
        rest = rest[len(numbers):]
    extra = [key for key in state if key not in known]
    _require(not extra, f"{_NAME} requires swapin_optim_state['state'] to be keyed only by packed "
             f"parameter ids from param_groups[*]['params']; got extra keys {extra!r}.")
    return state, lent


def _check_state(state: Any) -> None:
    _require(isinstance(state, dict), f"{_NAME} requires swapin_optim_state['state'] to be a dict "
             f"mapping packed parameter ids to per-param state dicts, got {type(state).__name__}.")
    _require(not any(isinstance(key, TensorBase) for key in state),
             f"{_NAME} requires optimizer.state_dict()-style state keyed by packed parameter ids.")
    _require(all(isinstance(value, dict) for key, value in state.items() if isinstance(key, int)),
             f"{_NAME} requires per-parameter optimizer state entries to be dictionaries.")


def _check_group(index: int, group: dict, options: Any) -> None:
    _require(isinstance(options, dict),
             f"{_NAME} requires each optimizer param group to be a dictionary.")
    numbers = options.get("params")
    _require(isinstance(numbers, list) and all(isinstance(each, int) for each in numbers),
             f"{_NAME} requires optimizer.state_dict()-style param_groups[*]['params'] entries "
             "keyed by packed parameter ids.")
    _require(len(group["params"]) == len(numbers), f"swapin_optim_state param group {index} has a "
             "different number of params than the live optimizer param group.")
    new = [key for key in options if key not in group]
    old = [key for key in group if key not in options]
    _require(not (new or old), f"{_NAME} requires optimizer.state_dict()-style param group keys to "
             f"exactly match the live optimizer group keys for group {index}. Keys only in swap-in:"
             f" {new}. Keys only in live: {old}.")


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise RuntimeError(words)
