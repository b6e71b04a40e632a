"""`torch.backends`: which libraries compute, and switches that programs set.

The answers are minigrad's: NumPy and SciPy on the CPU, CuPy on a GPU. Switches are kept, and
change nothing.
"""

from __future__ import annotations

import os

from ..device import cuda_device_count
from ..names import missing_in

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]


class _Backend:
    """One of torch's backends: what it answers, and what can be set."""

    def __init__(self, available: bool, **switches: object) -> None:
        self._available = available
        self.__dict__.update(switches)

    def is_available(self) -> bool:
        """Whether it can be used here."""
        return self._available

    is_built = is_available


class _Cpu(_Backend):
    def get_cpu_capability(self) -> str:
        """Which vector instructions NumPy may use, in torch's words."""
        return os.environ.get("ATEN_CPU_CAPABILITY", "DEFAULT").upper()


class _Cudnn(_Backend):
    """Convolutions are CuPy's: there is no cuDNN, and the switches change nothing."""

    def version(self) -> None:
        """None: there is no cuDNN."""


class _Cuda(_Backend):
    def __init__(self) -> None:
        super().__init__(False, matmul=_Backend(
            False, allow_tf32=False, allow_fp16_reduced_precision_reduction=True,
            allow_bf16_reduced_precision_reduction=True))

    def is_built(self) -> bool:
        """Whether there is a GPU that CuPy can use."""
        return cuda_device_count() > 0

    def flash_sdp_enabled(self) -> bool:
        """False: attention is one kernel of NumPy's or CuPy's operations."""
        return False

    mem_efficient_sdp_enabled = cudnn_sdp_enabled = flash_sdp_enabled

    def math_sdp_enabled(self) -> bool:
        """True: see `flash_sdp_enabled`."""
        return True

    def enable_flash_sdp(self, enabled: bool) -> None:
        """Accepted: there is one way to compute attention."""

    enable_mem_efficient_sdp = enable_math_sdp = enable_cudnn_sdp = enable_flash_sdp


cpu = _Cpu(True)
cuda = _Cuda()
cudnn = _Cudnn(False, enabled=True, benchmark=False, deterministic=False, allow_tf32=True,
               benchmark_limit=10)
mkl, mkldnn, mps, openmp = (_Backend(False, enabled=False) for _ in range(4))
opt_einsum = _Backend(False, enabled=False, strategy=None)

__getattr__ = missing_in(__name__)
