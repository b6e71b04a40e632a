"""Pruning: masks that keep some elements of a parameter at 0.

A pruned parameter `weight` is trained as `weight_orig`; the buffer `weight_mask` says what is left
of it, and a forward pre-hook, the pruning method itself, makes `weight` their product.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from ...ops.linalg_norm import norm
from ...ops.random import rand, rand_like
from ...ops.sorting import kthvalue, topk
from ..modules.module import Module
from ..modules.module_hooks import forward_pre_hooks, remove_forward_pre_hook
from .convert_parameters import parameters_to_vector


class BasePruningMethod(ABC):
    """A way to choose what is pruned: subclasses say so in `compute_mask`, and in PRUNING_TYPE what
    they may choose from: elements ("unstructured"), slices ("structured"), or "global"."""

    PRUNING_TYPE: str
    _tensor_name: Any = None

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask of what is kept of `t`, within what `default_mask` keeps."""

    def apply_mask(self, module: Module) -> Any:
        """The pruned tensor: mask times original."""
        if self._tensor_name is None:
            raise AssertionError(f"Module {module} has to be pruned")
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        return mask.to(dtype=original.dtype) * original

    @classmethod
    def apply(cls, module: Module, name: str, *args: Any, importance_scores: Any = None,
              **kwargs: Any) -> Any:
        """Prune `module.<name>`, after what has pruned it before; returns the method in charge."""
        method = cls._with_earlier(module, name, cls(*args, **kwargs))
        again = isinstance(method, PruningContainer)
        original = getattr(module, name)
        scores = _scores(importance_scores, original, f"parameter {name} of {module}")
        if again:
            before = getattr(module, name + "_mask").detach().clone()
        else:
            module.register_parameter(name + "_orig", original)
            del module._parameters[name]
            before = original.detach().ones_like()
        try:
            module.register_buffer(name + "_mask", method.compute_mask(scores, before))
            setattr(module, name, method.apply_mask(module))
            module.register_forward_pre_hook(method)
        except Exception:
            if not again:
                module.register_parameter(name, getattr(module, name + "_orig"))
                del module._parameters[name + "_orig"]
            raise
        return method

    @staticmethod
    def _with_earlier(module: Module, name: str, method: BasePruningMethod) -> BasePruningMethod:
        """The method; or, with the one that has pruned the tensor before, a container of both."""
        method._tensor_name = name
        earlier = [(number, hook) for number, hook in forward_pre_hooks(module, BasePruningMethod)
                   if hook._tensor_name == name]
        if len(earlier) > 1:
            raise AssertionError("Avoid adding multiple pruning hooks to the same tensor "
                                 f"{name} of module {module}. Use a PruningContainer.")
        for number, hook in earlier:
            remove_forward_pre_hook(module, number)
            container = hook if isinstance(hook, PruningContainer) else PruningContainer(hook)
            container.add_pruning_method(method)
            return container
        return method

    def prune(self, t: Any, default_mask: Any = None, importance_scores: Any = None) -> Any:
        """The tensor pruned, without any module."""
        scores = _scores(importance_scores, t, "tensor t")
        mask = t.ones_like() if default_mask is None else default_mask
        return t * self.compute_mask(scores, default_mask=mask)

    def remove(self, module: Module) -> None:
        """Make the tensor an ordinary parameter again, with zeros where it is pruned."""
        if self._tensor_name is None:
            raise AssertionError(f"Module {module} has to be pruned before pruning can be removed")
        name, weight = self._tensor_name, self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original: Any = module._parameters.pop(name + "_orig")
        original.data = weight.data
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


def _scores(scores: Any, tensor: Any, what: str) -> Any:
    """What tells the important elements: as a rule the tensor itself."""
    if scores is None:
        return tensor
    if scores.shape != tensor.shape:
        raise AssertionError(f"importance_scores should have the same shape as {what}, "
                             f"got {scores.shape} vs {tensor.shape}")
    return scores


class PruningContainer(BasePruningMethod):
    """Several methods on one tensor, one after the other: each prunes what is left by then."""

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[Any, ...] = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Append a method, which prunes what the others have left."""
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                f"Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'")
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The newest method's mask of what `default_mask` has left, written into that."""
        method = self._pruning_methods[-1]
        left = _left_to(method, t, default_mask)
        mask = default_mask.to(dtype=t.dtype)
        mask[left] = method.compute_mask(t[left], default_mask=default_mask[left]).to(
            dtype=mask.dtype)
        return mask


def _left_to(method: Any, t: Any, mask: Any) -> Any:
    """The index of what a method may choose from: what is not pruned, element or slice."""
    kind, ndim = method.PRUNING_TYPE, t.dim()
    if kind == "unstructured":
        return mask == 1
    if kind == "global":
        return (slice(None),) * ndim
    if kind != "structured":
        raise ValueError(f"Unrecognized PRUNING_TYPE {kind}")
    if not hasattr(method, "dim"):
        raise AttributeError('Pruning methods of PRUNING_TYPE "structured" need to have the '
                             "attribute `dim` defined.")
    dim = method.dim + ndim if method.dim < 0 else method.dim
    if dim < 0:
        raise IndexError(f"Index is out of bounds for tensor with dimensions {ndim}")
    kept = mask.sum(dim=[each for each in range(ndim) if each != dim]) != 0
    return (*(slice(None),) * dim, kept)


# --- how much ------------------------------------------------------------------------------------

def _check_amount(amount: Any) -> None:
    """A share, or a number of elements or slices."""
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    whole = isinstance(amount, numbers.Integral)
    share = float(amount)
    if share < 0 or (not whole and share > 1.0):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a "
                         "non-negative integer")


def _count(amount: Any, size: int) -> Any:
    """How many of `size` the amount is."""
    whole = isinstance(amount, numbers.Integral)
    count: Any = amount if whole else round(amount * size)
    if count > size:
        raise ValueError(f"amount={count} should be smaller than the number of parameters to "
                         f"prune={size}")
    return count


def _slices(t: Any, dim: int) -> int:
    """How many slices t has along `dim`."""
    if t.dim() <= 1:
        raise ValueError("Structured pruning can only be applied to multidimensional tensors. "
                         f"Found tensor of shape {t.shape} with {t.dim()} dims")
    if dim >= t.dim():
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")
    return t.shape[dim]


def _mask_of_slices(t: Any, dim: int, kept: Any, default_mask: Any) -> Any:
    """1 in the slices along `dim` that `kept` says (a mask or indices), within the default."""
    mask = t.detach().zeros_like()
    mask.movedim(dim, 0)[kept] = 1
    return mask.mul_(default_mask.to(dtype=mask.dtype))


# --- the methods ---------------------------------------------------------------------------------

class Identity(BasePruningMethod):
    """Prunes nothing, but sets up what pruning needs."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        return default_mask


class _OfElements(BasePruningMethod):
    """The elements with the least scores go; which scores, subclasses say."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Any) -> None:
        _check_amount(amount)
        self.amount = amount

    def scores(self, t: Any) -> tuple[Any, bool]:
        """A number for each element, and whether the largest are those that go."""
        raise NotImplementedError

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        count = _count(self.amount, t.nelement())
        mask = default_mask.clone(memory_format="contiguous")
        if count:
            scores, largest = self.scores(t)
            mask.view(-1)[topk(scores.view(-1), count, largest=largest)[1]] = 0
        return mask


class RandomUnstructured(_OfElements):
    """Prunes elements at random."""

    def scores(self, t: Any) -> tuple[Any, bool]:
        return rand_like(t.detach()), True


class L1Unstructured(_OfElements):
    """Prunes the elements of the least magnitude."""

    def scores(self, t: Any) -> tuple[Any, bool]:
        return t.detach().abs(), False


class RandomStructured(BasePruningMethod):
    """Prunes slices along `dim` at random."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Any, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        size = _slices(t, self.dim)
        count = _count(self.amount, size)
        if not count:
            return default_mask
        drawn = rand(size)
        kept = drawn > kthvalue(drawn, count)[0]
        return _mask_of_slices(t, self.dim, kept.to(t.device), default_mask)


class LnStructured(BasePruningMethod):
    """Prunes the slices along `dim` of the least n-norm."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Any, n: Any, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.n, self.dim = amount, n, dim

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        size = _slices(t, self.dim)
        count = _count(self.amount, size)
        others = list(range(t.dim()))
        del others[self.dim]
        kept = topk(norm(t.detach(), p=self.n, dim=others), size - count)[1]
        return _mask_of_slices(t, self.dim, kept, default_mask) if count else default_mask


class CustomFromMask(BasePruningMethod):
    """Prunes what a given mask says."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"default_mask shape {default_mask.shape} must match self.mask "
                                 f"shape {self.mask.shape}")
        return default_mask * self.mask.to(dtype=default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Set up pruning, with a mask of ones."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: Any) -> Module:
    """Prune `amount` elements (or that share of them) at random."""
    RandomUnstructured.apply(module, name, amount=amount)
    return module


def l1_unstructured(module: Module, name: str, amount: Any,
                    importance_scores: Any = None) -> Module:
    """Prune the `amount` elements (or that share of them) of the least magnitude, or scores."""
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: Any, dim: int) -> Module:
    """Prune `amount` slices along `dim` (or that share of them) at random."""
    RandomStructured.apply(module, name, amount=amount, dim=dim)
    return module


def ln_structured(module: Module, name: str, amount: Any, n: Any, dim: int,
                  importance_scores: Any = None) -> Module:
    """Prune the `amount` slices along `dim` (or that share of them) of the least n-norm."""
    LnStructured.apply(module, name, amount=amount, n=n, dim=dim,
                       importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Any) -> Module:
    """Prune where `mask` is 0."""
    CustomFromMask.apply(module, name, mask=mask)
    return module


def global_unstructured(parameters: Any, pruning_method: Any, importance_scores: Any = None,
                        **kwargs: Any) -> None:
    """Prune the elements of several parameters, pairs of a module and a name, as if they were one
    vector."""
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    importance_scores = {} if importance_scores is None else importance_scores
    if not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    pairs = list(parameters)
    tensors = [getattr(module, name) for module, name in pairs]
    scores = parameters_to_vector([importance_scores.get(pair, tensor)
                                   for pair, tensor in zip(pairs, tensors, strict=True)])
    masks = parameters_to_vector([
        getattr(module, name + "_mask", tensor.detach().ones_like())
        for (module, name), tensor in zip(pairs, tensors, strict=True)])
    container, method = PruningContainer(), pruning_method(**kwargs)
    container._tensor_name = method._tensor_name = "temp"
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError('Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. '
                        f"Found method {pruning_method} of type {method.PRUNING_TYPE}")
    container.add_pruning_method(method)
    mask, start = container.compute_mask(scores, masks), 0
    for (module, name), tensor in zip(pairs, tensors, strict=True):
        end = start + tensor.numel()
        custom_from_mask(module, name, mask[start:end].view_as(tensor))
        start = end


def remove(module: Module, name: str) -> Module:
    """Make a pruned tensor an ordinary parameter again, with zeros where it is pruned."""
    for number, hook in forward_pre_hooks(module, BasePruningMethod):
        if hook._tensor_name == name:
            hook.remove(module)
            remove_forward_pre_hook(module, number)
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can "
                     "be removed")


def is_pruned(module: Module) -> bool:
    """Whether anything in the module is pruned."""
    return any(forward_pre_hooks(each, BasePruningMethod) for each in module.modules())
