"""GradScaler: the loss times a large number, so that gradients in float16 do not vanish."""

from __future__ import annotations

import inspect
import warnings
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum
from typing import Any

from .core import TensorBase
from .device import array_module, cuda_device_count
from .dtypes import float16, float32, int32
from .ops.creation import full


class OptState(Enum):
    """How far an optimiser has come since the last update."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _fresh() -> dict[str, Any]:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


class GradScaler:
    """Scales losses, divides the gradients again, and skips a step whose gradients overflowed.

    After such a step `update` shrinks the scale by `backoff_factor`; after `growth_interval` good
    ones it grows by `growth_factor`. Micikevicius et al., "Mixed precision training", 2018.
    """

    def __init__(self, device: str = "cuda", init_scale: float = 2.0**16,
                 growth_factor: float = 2.0, backoff_factor: float = 0.5,
                 growth_interval: int = 2000, enabled: bool = True) -> None:
        self._device = device
        self._enabled = enabled
        if device == "cuda" and enabled and cuda_device_count() == 0:
            warnings.warn("torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  "
                          "Disabling.", stacklevel=2)
            self._enabled = False
        if not self._enabled:
            return
        _require(growth_factor > 1.0, "The growth factor must be > 1.0.")
        _require(backoff_factor < 1.0, "The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._scale: Any = None  # a tensor, once the first loss has said where
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Any = None
        self._per_optimizer_states: defaultdict[int, dict] = defaultdict(_fresh)

    # --- an iteration ----------------------------------------------------------------------------

    def scale(self, outputs: Any) -> Any:
        """A tensor, or all in a list, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, TensorBase):
            tensor: Any = outputs
            if self._scale is None:
                _require(self._growth_tracker is None, "_growth_tracker initialized before _scale")
                place = tensor.device
                self._scale = full((), self._init_scale, dtype=float32, device=place)
                self._growth_tracker = full((), self._init_growth_tracker, dtype=int32,
                                            device=place)
            return tensor * self._scale.to(device=tensor.device)
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, list | tuple) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the optimiser's gradients by the scale now, to clip them before the step."""
        if not self._enabled:
            return
        self._require_scale("unscale_")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the "
                               "last update().")
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        inverse = self._scale.double().reciprocal().float()
        state["found_inf_per_device"] = _unscale(optimizer, inverse, allow_fp16=False)
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step()`, unless a gradient is infinite or not a number."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._require_scale("step")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            return self._let_it_scale(optimizer, state, *args, **kwargs)
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        found = state["found_inf_per_device"]
        _require(len(found) > 0, "No inf checks were recorded for this optimizer.")
        result = None
        if not sum(each.item() for each in found.values()):
            result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def _let_it_scale(self, optimizer: Any, state: dict, *args: Any, **kwargs: Any) -> Any:
        """For a fused optimiser, which divides and skips by itself."""
        takes_scaler = "grad_scaler" in inspect.signature(optimizer.step).parameters
        if takes_scaler:
            warnings.warn(
                "GradScaler is going to stop passing itself as a keyword argument to the passed "
                "optimizer. In the near future GradScaler registers `grad_scale: Tensor` and "
                "`found_inf: Tensor` to the passed optimizer and let the optimizer use them "
                "directly.", FutureWarning, stacklevel=3)
            kwargs["grad_scaler"] = self
        else:
            if state["stage"] is OptState.READY:
                self._check_inf_per_device(optimizer)
            before = getattr(optimizer, "grad_scale", None)
            if state["stage"] is OptState.READY:
                before = self._scale * (1 if before is None else before)
            optimizer.grad_scale = before
            optimizer.found_inf = sum(each.to(self._scale.device)
                                      for each in state["found_inf_per_device"].values())
        result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        if not takes_scaler:
            del optimizer.grad_scale, optimizer.found_inf
        return result

    def update(self, new_scale: Any = None) -> None:
        """Adjust the scale, once all optimisers have stepped; or set it."""
        if not self._enabled:
            return
        self._require_scale("update")
        if isinstance(new_scale, float):
            self._scale.fill_(new_scale)
        elif new_scale is not None:
            _require(new_scale.device.type == self._device and new_scale.numel() == 1
                     and not new_scale.requires_grad,
                     "new_scale should be a float or a 1-element torch.cuda.FloatTensor or "
                     "torch.FloatTensor with requires_grad=False.")
            self._scale.copy_(new_scale)
        else:
            found = [each for state in self._per_optimizer_states.values()
                     for each in state["found_inf_per_device"].values()]
            _require(len(found) > 0, "No inf checks were recorded prior to update.")
            self._adjust(any(each.item() for each in found))
        self._per_optimizer_states = defaultdict(_fresh)

    def _adjust(self, overflown: bool) -> None:
        if overflown:
            self._scale.fill_(self._scale.item() * self._backoff_factor)
            self._growth_tracker.fill_(0)
            return
        good = int(self._growth_tracker.item()) + 1
        if good == self._growth_interval:
            larger = self._scale * self._growth_factor
            if larger.isfinite().item():
                self._scale.copy_(larger)
            good = 0
        self._growth_tracker.fill_(good)

    def _require_scale(self, caller: str) -> None:
        for name in ("_scale", "_growth_tracker"):
            _require(getattr(self, name) is not None,
                     f"Attempted {caller} but {name} is None.  This may indicate your script did "
                     "not use scaler.scale(loss or outputs) earlier in the iteration.")

    def _check_inf_per_device(self, optimizer: Any) -> dict:
        self._require_scale("_check_inf_per_device")
        one = full((), 1.0, dtype=float32, device=self._scale.device)
        found = _unscale(optimizer, one, allow_fp16=True)
        self._per_optimizer_states[id(optimizer)]["found_inf_per_device"] = found
        return found

    def _found_inf_per_device(self, optimizer: Any) -> dict:
        return self._per_optimizer_states[id(optimizer)]["found_inf_per_device"]

    # --- what it is set to -----------------------------------------------------------------------

    def get_scale(self) -> float:
        """The scale as a number."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def _get_scale_async(self) -> Any:
        return self._scale

    def get_growth_factor(self) -> float:
        """By what the scale grows after `growth_interval` good steps."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set by what the scale grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """By what the scale shrinks after a step that overflowed."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set by what the scale shrinks."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set after how many good steps the scale grows."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else \
            self._growth_tracker.item()

    def is_enabled(self) -> bool:
        """Whether it does anything at all."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale and how it changes; empty if the scaler is not enabled."""
        if not self._enabled:
            return {}
        return {"scale": self.get_scale(), "growth_factor": self._growth_factor,
                "backoff_factor": self._backoff_factor, "growth_interval": self._growth_interval,
                "_growth_tracker": self._get_growth_tracker()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` has returned."""
        if not self._enabled:
            return
        if len(state_dict) == 0:
            raise RuntimeError("The source state dict is empty, possibly because it was saved from "
                               "a disabled instance of GradScaler.")
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._growth_tracker is not None:
            self._growth_tracker.fill_(state_dict["_growth_tracker"])

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._enabled:
            _require(len(self._per_optimizer_states) == 0,
                     "A GradScaler instance may only be pickled at the beginning of an iteration, "
                     "or at the end after scaler.update().")
            state["_init_scale"] = self.get_scale()
            state["_init_growth_tracker"] = self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def _unscale(optimizer: Any, inverse: Any, allow_fp16: bool) -> dict[Any, Any]:
    """Multiply all gradients by `inverse`; for each device, 1.0 if one of them was not finite."""
    found: dict[Any, Any] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is None:
                continue
            if not allow_fp16 and gradient.dtype is float16:
                raise ValueError("Attempting to unscale FP16 gradients.")
            place = gradient.device
            if place not in found:
                found[place] = full((), 0.0, dtype=float32, device=place)
            array = gradient._data
            if not array_module(array).isfinite(array).all():
                found[place].fill_(1.0)
            if inverse.item() != 1.0:
                gradient.detach().mul_(inverse.to(device=place))
    return found


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise AssertionError(words)
