"""Instance normalisation: each channel of each sample by its mean and variance over positions."""

from __future__ import annotations

import warnings
from typing import Any

from .. import functional as F
from .batchnorm import _LazyNormBase, _NormBase


class _InstanceNorm(_NormBase):
    """Normalises each channel of each sample over its positions; batches may lack their first dim.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1,
                 affine: bool = False, track_running_stats: bool = False, device: Any = None,
                 dtype: Any = None, *, bias: bool = True) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype,
                         bias=bias)

    def forward(self, input: Any) -> Any:
        self._check_input_dim(input)
        self._check_channels(input)
        if input.dim() == self._dims[0]:
            return self._normalise(input.unsqueeze(0)).squeeze(0)
        return self._normalise(input)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: dict,
                              strict: bool, missing_keys: list, unexpected_keys: list,
                              error_msgs: list) -> None:
        """Before version 2, statistics were tracked by default."""
        if local_metadata.get("version") is None and not self.track_running_stats:
            found = [name for name in ("running_mean", "running_var")
                     if state_dict.pop(f"{prefix}{name}", None) is not None]
            if found:
                error_msgs.append(_OLD_STATE.format(
                    names=" and ".join(f'"{prefix}{name}"' for name in found),
                    kind=type(self).__name__))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys,
                                      unexpected_keys, error_msgs)

    def _check_channels(self, input: Any) -> None:
        dim = input.dim() - self._dims[0]
        if input.size(dim) == self.num_features:
            return
        if self.affine:
            raise ValueError(f"expected input's size at dim={dim} to match num_features "
                             f"({self.num_features}), but got: {input.size(dim)}.")
        warnings.warn(f"input's size at dim={dim} does not match num_features. You can silence "
                      "this warning by not passing in num_features, which is not used because "
                      "affine=False", stacklevel=3)

    def _normalise(self, input: Any) -> Any:
        return F.instance_norm(input, self.running_mean, self.running_var, self.weight, self.bias,
                               self.training or not self.track_running_stats,
                               0.0 if self.momentum is None else self.momentum, self.eps)


_OLD_STATE = (
    "Unexpected running stats buffer(s) {names} for {kind} with track_running_stats=False. If "
    "state_dict is a checkpoint saved before 0.4.0, this may be expected because {kind} does not "
    "track running stats by default since 0.4.0. Please remove these keys from state_dict. If the "
    "running stats are actually needed, instead set track_running_stats=True in {kind} to enable "
    "them. See the documentation of {kind} for details.")


class InstanceNorm1d(_InstanceNorm):
    """For (N, C, L) or (C, L)."""

    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """For (N, C, H, W) or (C, H, W)."""

    _dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """For (N, C, D, H, W) or (C, D, H, W)."""

    _dims = (4, 5)


class LazyInstanceNorm1d(_LazyNormBase, _InstanceNorm):
    """InstanceNorm1d of as many channels as the first input has."""

    cls_to_become, _dims = InstanceNorm1d, InstanceNorm1d._dims


class LazyInstanceNorm2d(_LazyNormBase, _InstanceNorm):
    """InstanceNorm2d of as many channels as the first input has."""

    cls_to_become, _dims = InstanceNorm2d, InstanceNorm2d._dims


class LazyInstanceNorm3d(_LazyNormBase, _InstanceNorm):
    """InstanceNorm3d of as many channels as the first input has."""

    cls_to_become, _dims = InstanceNorm3d, InstanceNorm3d._dims
