"""What torch calls, in its files, what minigrad has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from .. import dtypes
from ..device import device
from ..nn.parameter import Parameter
from ..storage import UntypedStorage
from ..tensor import Size, Tensor


@dataclass(frozen=True)
class Named:
    """A global of torch's: the module it is in and its name there."""

    module: str
    name: str

    def __call__(self, *args: object) -> NoReturn:
        """pickle wants a function where it writes a call; this one is only its name."""
        raise TypeError(f"{self.module}.{self.name} is not here to be called")


GLOBAL_NAMES: dict[type, Named] = {
    Tensor: Named("torch", "Tensor"),
    Parameter: Named("torch.nn.parameter", "Parameter"),
    Size: Named("torch", "Size"),
    device: Named("torch", "device"),
    UntypedStorage: Named("torch.storage", "UntypedStorage"),
}

# Storages of the dtypes that torch had when it still typed them; those of others are untyped.
STORAGE_NAMES: dict[dtypes.dtype, str] = {
    dtypes.float64: "DoubleStorage", dtypes.float32: "FloatStorage", dtypes.float16: "HalfStorage",
    dtypes.bfloat16: "BFloat16Storage", dtypes.int64: "LongStorage", dtypes.int32: "IntStorage",
    dtypes.int16: "ShortStorage", dtypes.int8: "CharStorage", dtypes.uint8: "ByteStorage",
    dtypes.bool_: "BoolStorage", dtypes.complex128: "ComplexDoubleStorage",
    dtypes.complex64: "ComplexFloatStorage",
}
