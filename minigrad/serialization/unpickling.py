"""Reading the pickle: torch's names become minigrad's objects, and with `weights_only` no others.

See Note [Loading what one does not trust].
"""

from __future__ import annotations

import _compat_pickle
import importlib
import io
import pickle
import pickletools
import re
import struct
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..device import device
from ..layout import sparse_coo, strided
from ..nn.parameter import Parameter, adopt
from ..storage import TypedStorage, UntypedStorage, tensor_of
from ..tensor import Size, Tensor
from .archive import Reader
from .locations import Mover
from .names import STORAGE_NAMES
from .safe_globals import by_name

# --- what the names in a file stand for ----------------------------------------------------------

class StorageKind:
    """`torch.FloatStorage` and its like: which dtype a storage has."""

    def __init__(self, dtype: dtypes.dtype) -> None:
        self.dtype = dtype


def _rebuild_tensor_v2(storage: Any, offset: int, size: Any, stride: Any,
                       requires_grad: bool, backward_hooks: Any, metadata: Any = None) -> Any:
    dtype = storage.dtype if isinstance(storage, TypedStorage) else dtypes.uint8
    return _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, backward_hooks, dtype,
                              metadata)


def _rebuild_tensor_v3(storage: Any, offset: int, size: Any, stride: Any, requires_grad: bool,
                       backward_hooks: Any, dtype: Any, metadata: Any = None) -> Any:
    if not isinstance(storage, TypedStorage | UntypedStorage):
        raise pickle.UnpicklingError(f"a tensor is made of a storage, not of {type(storage)}")
    tensor = tensor_of(storage.untyped(), dtype, offset, size, stride)
    if metadata:  # views that are conjugated or negated when they are read; here, at once
        tensor = tensor.conj() if metadata.get("conj") else tensor
        tensor = tensor.neg() if metadata.get("neg") else tensor
    return tensor.requires_grad_(bool(requires_grad))


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any) -> Any:
    return _rebuild_tensor_v2(storage, offset, size, stride, False, None)


def _rebuild_parameter(data: Any, requires_grad: bool, backward_hooks: Any) -> Any:
    return Parameter(data, bool(requires_grad))


def _rebuild_parameter_with_state(data: Any, requires_grad: bool, backward_hooks: Any,
                                  state: Any) -> Any:
    return _with_state(Parameter(data, bool(requires_grad)), state)


def _rebuild_from_type_v2(function: Callable, kind: type, arguments: tuple, state: Any) -> Any:
    result = function(*arguments)
    if type(result) is not kind:
        if not issubclass(kind, Tensor):
            raise pickle.UnpicklingError(f"a tensor cannot become a {kind}")
        result = adopt(kind, result, result.requires_grad)
    return _with_state(result, state)


def _with_state(tensor: Any, state: Any) -> Any:
    """The tensor with the attributes that its user gave it."""
    attributes = state[0] if isinstance(state, tuple) else state
    vars(tensor).update(attributes or {})
    return tensor


def _encode(text: str, encoding: str) -> bytes:
    """How protocol 2 writes bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes are written as latin1, not as {encoding}")
    return text.encode("latin1")


_LAYOUTS = {str(each): each for each in (strided, sparse_coo)}


def _get_layout(name: str) -> Any:
    return _LAYOUTS[name]


_REBUILD = (_rebuild_tensor, _rebuild_tensor_v2, _rebuild_tensor_v3, _rebuild_parameter,
            _rebuild_parameter_with_state)
ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict, "collections.Counter": Counter,
    "torch.nn.parameter.Parameter": Parameter, "torch.Tensor": Tensor, "torch.Size": Size,
    "torch.device": device, "torch.storage.UntypedStorage": UntypedStorage,
    "_codecs.encode": _encode, "builtins.bytearray": bytearray, "builtins.set": set,
    "builtins.complex": complex, "torch.serialization._get_layout": _get_layout,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type_v2,
    **{f"torch._utils.{each.__name__}": each for each in _REBUILD},
    **{f"torch.{each.name}": each for each in dtypes.ALL},
}
for _dtype, _name in STORAGE_NAMES.items():
    ALLOWED[f"torch.{_name}"] = ALLOWED[f"torch.cuda.{_name}"] = StorageKind(_dtype)

_BLOCKED_MODULES = ("sys", "os", "posix", "nt")
_MUST_BE_IMPORTED = {
    "torch.nested._internal.nested_tensor.": (
        "``torch.nested`` and ``torch._dynamo`` must be imported to load nested jagged tensors "
        "(NJTs)"),
    "torch.distributed.": "``torch.distributed.tensor`` must be imported to load DTensors"}


def _lookup(module: str, name: str) -> Any:
    """The object that a name of the file stands for, if it may be used."""
    path = f"{module}.{name}"
    if module in _BLOCKED_MODULES:
        raise pickle.UnpicklingError(f"Trying to load unsupported GLOBAL {path} whose module "
                                     f"{module} is blocked.")
    if path in ALLOWED:
        return ALLOWED[path]
    chosen = by_name()
    if path in chosen:
        return chosen[path]
    for start, why in _MUST_BE_IMPORTED.items():
        if path.startswith(start):
            raise pickle.UnpicklingError(why)
    path = path.removeprefix("builtins.")
    raise pickle.UnpicklingError(
        f"Unsupported global: GLOBAL {path} was not an allowed global by default. Please use "
        f"`torch.serialization.add_safe_globals([{path}])` or the "
        f"`torch.serialization.safe_globals([{path}])` context manager to allowlist this global if "
        "you trust this class/function.")


def _python3(module: str, name: str) -> tuple[str, str]:
    """Protocol 2 has the names of Python 2."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


# --- storages ------------------------------------------------------------------------------------

class Storages:
    """The storages of a file by what the pickle calls them; each is read once."""

    def __init__(self, records: Reader, restore: Mover) -> None:
        self.records, self.restore = records, restore
        self.loaded: dict[str, UntypedStorage] = {}

    def __call__(self, saved_id: Any) -> Any:
        kind, key, location, count = parts_of(saved_id)
        dtype = kind.dtype if isinstance(kind, StorageKind) else dtypes.uint8
        if key not in self.loaded:
            memory = self.records.storage(key, count, dtype.numpy)
            self.loaded[key] = self.restore(memory, location)
        return TypedStorage(wrap_storage=self.loaded[key], dtype=dtype)


def parts_of(saved_id: Any) -> list:
    """What a pickle says of a storage: its kind, key, location and number of elements."""
    if type(saved_id) not in (tuple, int):
        raise pickle.UnpicklingError(
            f"persistent_load id must be tuple or int, but got {type(saved_id)}")
    first = saved_id[0] if isinstance(saved_id, tuple) and saved_id else saved_id
    first = first.decode("ascii", "replace") if isinstance(first, bytes) else first
    if first != "storage":
        raise pickle.UnpicklingError(
            f"Only persistent_load of storage is allowed, but got {type(first)}")
    kind, key, location, count = saved_id[1:5]
    if not (isinstance(kind, StorageKind) or kind is UntypedStorage) or type(key) is not str \
            or type(count) is not int or count < 0:
        raise pickle.UnpicklingError(f"this names no storage: {saved_id}")
    location = location.decode("ascii") if isinstance(location, bytes) else location
    return [kind, key, location, count, *saved_id[5:]]


# --- the unpickler that runs nothing -------------------------------------------------------------

class _Instructions(dict):
    def __missing__(self, code: int) -> Any:
        raise pickle.UnpicklingError(f"Unsupported operand {code}")


# Python's unpickler in Python, not in C, with a table of fewer instructions. Those that could act
# on what they are given are replaced by ones that look at it first.
class SafeUnpickler(pickle._Unpickler):
    def __init__(self, data: Any, storages: Callable, options: dict) -> None:
        file = io.BytesIO(data) if isinstance(data, bytes) else data
        super().__init__(file, encoding=options["encoding"])
        self.persistent_load = storages  # type: ignore[method-assign]
        self.usable = {id(each) for each in (*ALLOWED.values(), *by_name().values())}

    def load(self) -> Any:
        try:
            return super().load()
        except (EOFError, IndexError, KeyError, AttributeError, TypeError, ValueError,
                OverflowError, struct.error) as error:
            raise pickle.UnpicklingError(
                f"the pickle is damaged: {type(error).__name__}: {error}") from error

    def load_proto(self) -> None:
        version = self.read(1)[0]  # type: ignore[attr-defined]
        if version != 2:
            warnings.warn(
                f"Detected pickle protocol {version} in the checkpoint, which was not the default "
                "pickle protocol used by `torch.load` (2). The weights_only Unpickler might not "
                "support all instructions implemented by this protocol, please file an issue for "
                "adding support if you encounter this.", stacklevel=2)

    def find_class(self, module: str, name: str) -> Any:
        return _lookup(*_python3(module, name))

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack[-1]  # type: ignore[attr-defined]
        if id(function) not in self.usable or not callable(function):
            owner = getattr(function, "__self__", None)
            raise pickle.UnpicklingError(
                f"Trying to call reduce for unrecognized function {function}"
                + (f" which belongs to {owner}" if owner is not None else ""))
        self.stack[-1] = function(*arguments)  # type: ignore[attr-defined]

    def load_newobj(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()  # type: ignore[attr-defined]
        if id(kind) not in self.usable or not isinstance(kind, type):
            raise pickle.UnpicklingError(
                "Can only create new object for nn.Parameter or classes allowlisted via "
                f"`add_safe_globals` but got {kind}")
        self.append(kind.__new__(kind, *arguments))  # type: ignore[attr-defined]

    def load_build(self) -> None:
        state, instance = self.stack.pop(), self.stack[-1]  # type: ignore[attr-defined]
        kind = type(instance)
        if kind is OrderedDict:
            vars(instance).update(state)
        elif kind in by_name().values():
            _build(instance, state)
        else:
            raise pickle.UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via "
                f"`add_safe_globals`, but got {kind}")

    def load_append(self) -> None:
        item = self.stack.pop()  # type: ignore[attr-defined]
        self._list("append to").append(item)

    def load_appends(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        self._list("extend").extend(items)

    def _list(self, what: str) -> list:
        target = self.stack[-1]  # type: ignore[attr-defined]
        if type(target) is not list:
            raise pickle.UnpicklingError(f"Can only {what} lists, but got {type(target)}")
        return target

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()  # type: ignore[attr-defined]
        self._mapping("SETITEM")[key] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        self._mapping("SETITEMS").update(zip(items[::2], items[1::2], strict=True))

    def _mapping(self, instruction: str) -> dict:
        target = self.stack[-1]  # type: ignore[attr-defined]
        if type(target) not in (dict, OrderedDict, Counter):
            raise pickle.UnpicklingError(
                f"Can only {instruction} for dict, collections.OrderedDict, "
                f"collections.Counter, but got {type(target)}")
        return target

    dispatch = _Instructions(
        {code[0]: pickle._Unpickler.dispatch[code[0]] for code in (
            pickle.GLOBAL, pickle.MARK, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3,
            pickle.NONE, pickle.NEWFALSE, pickle.NEWTRUE, pickle.EMPTY_TUPLE, pickle.EMPTY_LIST,
            pickle.EMPTY_DICT, pickle.EMPTY_SET, pickle.BININT, pickle.BININT1, pickle.BININT2,
            pickle.BINFLOAT, pickle.BINUNICODE, pickle.SHORT_BINSTRING, pickle.LONG1,
            pickle.BINPERSID, pickle.BINGET, pickle.LONG_BINGET, pickle.BINPUT,
            pickle.LONG_BINPUT, pickle.STOP)}
        | {pickle.PROTO[0]: load_proto, pickle.REDUCE[0]: load_reduce,
           pickle.NEWOBJ[0]: load_newobj, pickle.BUILD[0]: load_build,
           pickle.APPEND[0]: load_append, pickle.APPENDS[0]: load_appends,
           pickle.SETITEM[0]: load_setitem, pickle.SETITEMS[0]: load_setitems})


def _build(instance: Any, state: Any) -> None:
    """Give an object of a class that the user trusts its state, as pickle does."""
    if hasattr(instance, "__setstate__"):
        instance.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    vars(instance).update(state or {})
    for name, value in (slots or {}).items():
        setattr(instance, name, value)


def unsafe_names(data: bytes) -> list[str]:
    """The names in a pickle that are refused."""
    names = {".".join(_python3(*str(argument).split(" ", 1)))
             for code, argument, _ in pickletools.genops(data) if code.name == "GLOBAL"}
    return sorted(names - set(ALLOWED) - set(by_name()))


_UNSAFE = (
    "In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` "
    "from `False` to `True`. Re-running `torch.load` with `weights_only` set to `False` will "
    "likely succeed, but it can result in arbitrary code execution. Do it only if you got the file "
    "from a trusted source.")
_DOCS = ("\n\nCheck the documentation of torch.load to learn more about types accepted by default "
         "with weights_only https://pytorch.org/docs/stable/generated/torch.load.html.")


def refusal(why: str) -> str:
    """torch's words around why a file was refused."""
    if re.search(r"GLOBAL (\S+) was not an allowed global by default.", why):
        return (
            "Weights only load failed. This file can still be loaded, to do so you have two "
            "options, \033[1mdo those steps only if you trust the source of the checkpoint\033[0m."
            f" \n\t(1) {_UNSAFE}\n\t(2) Alternatively, to load with `weights_only=True` please "
            "check the recommended steps in the following error message.\n\tWeightsUnpickler "
            f"error: {why}{_DOCS}")
    if re.search(r"(\S+) must be (\S+) to load", why):
        return f"Weights only load failed. {why}\n {_UNSAFE}\n"
    text = f"Weights only load failed. {_UNSAFE}\n"
    if not re.search(r"whose module (\S+) is blocked", why):
        text += ("Please file an issue with the following so that we can make `weights_only=True` "
                 "compatible with your use case: WeightsUnpickler error: ")
    return f"{text}\n\n{why}{_DOCS}"


# --- the unpickler that runs everything ----------------------------------------------------------

def full_unpickler(pickle_module: Any, data: Any, storages: Callable, options: dict) -> Any:
    """An unpickler for files that one trusts: torch's classes become minigrad's of that name."""

    class FullUnpickler(pickle_module.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            path = ".".join(_python3(module, name))
            if path in ALLOWED:
                return ALLOWED[path]
            if module.partition(".")[0] == "torch":
                try:
                    found: Any = importlib.import_module("minigrad" + module[5:])
                    for part in name.split("."):
                        found = getattr(found, part)
                except (ImportError, AttributeError):
                    raise pickle.UnpicklingError(f"minigrad has no '{module}.{name}'") from None
                return found
            return super().find_class(module, name)

        def persistent_load(self, saved_id: Any) -> Any:
            return storages(saved_id)

    return FullUnpickler(io.BytesIO(data) if isinstance(data, bytes) else data, **options)

