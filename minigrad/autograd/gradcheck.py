r"""Whether a function's derivatives are right: compared with quotients of differences.

    gradcheck(f, inputs)          True, or a GradcheckError that shows both Jacobians
    gradgradcheck(f, inputs)      the same for the gradient of f

An element of a Jacobian is compared with $(f(x + \epsilon d) - f(x - \epsilon d)) / 2\epsilon$, d a
unit vector; this needs float64. `fast_mode` takes one random d for each input, and one random
combination of the outputs, so that a single number is compared. Of a complex function the real and
the imaginary part are checked one by one: $\partial / \partial \mathrm{Re}\,x + i\,\partial /
\partial \mathrm{Im}\,x$ of a real output is what backward gives. In forward mode it is the real and
imaginary part of the inputs instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import autograd
from ..core import TensorBase, wrap
from ..device import array_module, host
from ..names import missing_in
from ..ops.complex import complex as to_complex
from .forward_ad import dual_level, make_dual, unpack_dual
from .function import Function

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A derivative is wrong."""


def gradcheck(func: Callable, inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5,
              rtol: float = 1e-3, raise_exception: bool = True, nondet_tol: float = 0.0,
              check_undefined_grad: bool = True, check_grad_dtypes: bool = False,
              check_batched_grad: bool = False, check_batched_forward_grad: bool = False,
              check_forward_ad: bool = False, check_backward_ad: bool = True,
              fast_mode: bool = False, masked: bool | None = None) -> bool:
    """Compare the gradients of `func` at `inputs` with quotients of differences.

    Those inputs count that require gradients. `nondet_tol`: how much two backwards may differ.
    `check_undefined_grad`: outputs whose gradient is missing must do no harm. With
    `check_forward_ad`, tangents are compared, too. Instead of an error False is returned if
    `raise_exception` is off. `masked` is for sparse tensors, which minigrad does not have.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be "
                             "True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be "
                             "True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to "
                             "be True")
    _refuse_batched(check_batched_grad or check_batched_forward_grad)
    tensors = _as_tuple(inputs)
    _check_inputs(tensors)
    check = _Check(eps, atol, rtol, nondet_tol, check_grad_dtypes, check_undefined_grad, fast_mode)
    try:
        if check_backward_ad:
            check.backward(func, tensors)
        if check_forward_ad:
            check.forward(func, tensors)
        if check_backward_ad:
            _check_zero_gradients(_differentiable(func(*tensors)), tensors)
            if check_undefined_grad:
                _check_undefined(func, tensors)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(func: Callable, inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6,
                  atol: float = 1e-5, rtol: float = 1e-3, gen_non_contig_grad_outputs: bool = False,
                  raise_exception: bool = True, nondet_tol: float = 0.0,
                  check_undefined_grad: bool = True, check_grad_dtypes: bool = False,
                  check_batched_grad: bool = False, check_fwd_over_rev: bool = False,
                  check_rev_over_rev: bool = True, fast_mode: bool = False,
                  masked: bool = False) -> bool:
    """Compare the gradients of the gradient of `func` with quotients of differences.

    The gradient is a function of the inputs and of `grad_outputs`, random ones if none are given.
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to "
                             "be True")
    if check_undefined_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_undefined_grad=True requires check_rev_over_rev to be "
                             "True")
    if check_batched_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_batched_grad=True requires check_rev_over_rev to be "
                             "True")
    _refuse_batched(check_batched_grad)
    tensors = _as_tuple(inputs)
    if grad_outputs is None:
        weights = tuple([_random_like(each, gen_non_contig_grad_outputs)
                         for each in _differentiable(func(*tensors))])
    else:
        weights = _as_tuple(grad_outputs)
    flags = [isinstance(each, TensorBase) and each.requires_grad for each in (*tensors, *weights)]

    def gradient(*arguments: Any) -> tuple:
        arguments = tuple([each.requires_grad_() if flag else each
                           for each, flag in zip(arguments, flags, strict=True)])
        given, directions = arguments[:len(tensors)], arguments[len(tensors):]
        moving = [each for each, flag in zip(given, flags, strict=False) if flag]
        found = autograd.grad(_differentiable(func(*given)), moving, directions, create_graph=True,
                              allow_unused=True)
        return tuple([each for each in found if each is not None])

    return gradcheck(
        gradient, (*tensors, *weights), eps=eps, atol=atol, rtol=rtol,
        raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode, masked=masked)


def _refuse_batched(wanted: bool) -> None:
    if wanted:
        raise NotImplementedError("gradcheck(check_batched_grad=True) needs vmap, which minigrad "
                                  "does not have")


# --- comparing ------------------------------------------------------------------------------------

class _Check(NamedTuple):
    """What is demanded."""

    eps: float
    atol: float
    rtol: float
    nondet_tol: float
    dtypes: bool
    undefined: bool
    fast: bool

    def backward(self, func: Callable, inputs: tuple) -> None:
        """The gradients of every output; of complex ones, of both parts."""
        complex_at = [i for i, each in enumerate(_differentiable(func(*inputs)))
                      if each.is_complex()]
        if not any(each.is_complex() for each in _numbers(func(*inputs))):
            return self._backward(func, inputs, "")
        for part in ("imaginary", "real"):
            words = f"While considering the {part} part of complex outputs only, "
            self._backward(_output_part(func, part), inputs, words, complex_at)

    def _backward(self, func: Callable, inputs: tuple, words: str, complex_at: Any = ()) -> None:
        outputs = _numbers(func(*inputs))
        if not any(each.requires_grad for each in outputs):
            return self._expect_constant(func, inputs)
        directions = [list(self._directions(inputs[place])) for place in _moving(inputs)]
        differences = [[self._difference(func, inputs, place, way) for way in ways]
                       for place, ways in zip(_moving(inputs), directions, strict=True)]
        number = 0
        for at, output in enumerate(outputs):
            if not output.requires_grad:
                continue
            combinations = list(self._combinations(output))
            rows = self._gradients(output, inputs, combinations)
            for j, place in enumerate(_moving(inputs)):
                numerical = [[(np.asarray(difference[at]) * combination).sum()
                              for combination in combinations] for difference in differences[j]]
                analytical = [[_along(row[j], way) for row in rows] for way in directions[j]]
                is_complex = inputs[place].is_complex()
                self._same(_joined(analytical, is_complex), _joined(numerical, is_complex),
                           self._allowed(directions[j], combinations),
                           (words if number in complex_at else "")
                           + f"Jacobian mismatch for output {number} with respect to input {j},")
            number += 1

    def forward(self, func: Callable, inputs: tuple) -> None:
        """The tangents for every input; of complex ones, for both parts."""
        complex_at = [i for i, each in enumerate(inputs)
                      if isinstance(each, TensorBase) and each.dtype.is_complex]
        if not complex_at:
            return self._forward(func, inputs, "")
        for part in ("imaginary", "real"):
            words = f"While considering the {part} part of complex inputs only, "
            seen = tuple([getattr(each, part[:4]) if i in complex_at else each
                          for i, each in enumerate(inputs)])
            self._forward(_input_part(func, inputs, complex_at, part), seen, words, complex_at)

    def _forward(self, func: Callable, inputs: tuple, words: str, complex_at: Any = ()) -> None:
        if not _differentiable(func(*inputs)):
            return self._expect_constant(func, inputs)
        for j, place in enumerate(_moving(inputs)):
            directions = list(self._directions(inputs[place]))
            numerical = [self._difference(func, inputs, place, way) for way in directions]
            analytical = [self._tangents(func, inputs, place, way) for way in directions]
            for number in range(len(numerical[0]) if numerical else 0):
                self._same(
                    np.array([column[number] for column in analytical]),
                    np.array([column[number] for column in numerical]),
                    self._allowed(directions, None),
                    (words if j in complex_at else "") + "Jacobian computed with forward mode "
                    f"mismatch for output {number} with respect to input {j},")
            if self.undefined:
                self._check_missing_tangent(func, inputs, place)

    def _same(self, analytical: Any, numerical: Any, atol: float, words: str) -> None:
        if not np.allclose(analytical, numerical, self.rtol, atol):
            raise GradcheckError(f"{words}\nnumerical:{wrap(np.asarray(numerical))}\n"
                                 f"analytical:{wrap(np.asarray(analytical))}\n")

    def _allowed(self, directions: list, combinations: Any) -> float:
        """The tolerance; in fast mode that of a sum of elements, weighed as they are."""
        if not self.fast:
            return self.atol
        total = sum(np.abs(way.real).sum() + np.abs(way.imag).sum() for way in directions)
        return self.atol * float(total) * (
            1.0 if combinations is None else float(sum(each.sum() for each in combinations)))

    # --- the two sides ---

    def _directions(self, input: Any) -> Iterator[Any]:
        """The ways to move an input: its elements one by one, or a random one; if it is complex,
        the same again for the imaginary part."""
        return _units(input, self.fast, (1, 1j) if input.is_complex() else (1,))

    def _combinations(self, output: Any) -> Iterator[Any]:
        """The weights of the elements of an output."""
        return _units(output, self.fast, (1,))

    def _difference(self, func: Callable, inputs: tuple, place: int, way: Any) -> list:
        """The outputs' derivatives in the direction `way` of one input, by moving it."""
        data = inputs[place]._data
        xp = array_module(data)
        before, step = data.copy(), xp.asarray(way) * self.eps
        found = []
        try:
            for sign in (-1, 1):
                data[...] = before + sign * step
                found.append([host(each._data).copy() for each in _numbers(func(*inputs))])
        finally:
            data[...] = before
        for low, high in zip(*found, strict=True):
            for what, a, b in (("shape", low.shape, high.shape), ("dtype", low.dtype, high.dtype)):
                if a != b:
                    raise AssertionError(
                        f"Expected `func` to return outputs with the same {what} when inputs are "
                        f"perturbed by {self.eps}, but got: {what}s {a} and {b}.")
        return [(high - low) / (2 * self.eps) for low, high in zip(*found, strict=True)]

    def _gradients(self, output: Any, inputs: tuple, combinations: list) -> list[list]:
        """By combination and input: the gradient, zeros where there is none; computed twice."""
        moving = [inputs[place] for place in _moving(inputs)]
        runs: list[list] = []
        for _ in range(2):
            runs.append([])
            for combination in combinations:
                weight = wrap(array_module(output._data).asarray(combination, output._data.dtype))
                found = autograd.grad(output, moving, weight, retain_graph=True, allow_unused=True)
                runs[-1].append([np.zeros(each._data.shape) if g is None else host(g._data)
                                 for each, g in zip(moving, found, strict=True)])
        for first, second in zip(*runs, strict=True):
            for a, b in zip(first, second, strict=True):
                if a.size and np.abs(a - b).max() > self.nondet_tol:
                    raise GradcheckError(
                        "Backward is not reentrant, i.e., running backward with same input and "
                        "grad_output multiple times gives different values, although analytical "
                        "gradient matches numerical gradient.The tolerance for nondeterminism was "
                        f"{self.nondet_tol}.")
        return runs[0]

    def _tangents(self, func: Callable, inputs: tuple, place: int, way: Any) -> list:
        """The outputs' tangents where one input moves in the direction `way`."""
        with dual_level():
            found = [unpack_dual(each) for each in _numbers(
                func(*_duals(inputs, {place: _as_tensor(way, inputs[place])})))]
            for primal, tangent in found:
                if self.dtypes and tangent is not None and (
                        primal.is_complex() != tangent.is_complex()):
                    raise GradcheckError("Forward AD gradient has dtype mismatch.")
            return [np.zeros(primal._data.shape) if tangent is None else host(tangent._data).copy()
                    for primal, tangent in found]

    def _check_missing_tangent(self, func: Callable, inputs: tuple, place: int) -> None:
        """No tangent of an input is the same as a tangent of zeros."""
        ways = {other: _as_tensor(next(_units(inputs[other], True, (1,))), inputs[other])
                for other in _moving(inputs) if other != place}
        zeros = _as_tensor(np.zeros(inputs[place]._data.shape), inputs[place])
        with dual_level():
            results = [_numbers(func(*_duals(inputs, given)))
                       for given in ({**ways, place: zeros}, {**ways, place: None})]
            for number, pair in enumerate(zip(*results, strict=True)):
                expected, found = [unpack_dual(each).tangent for each in pair]
                if expected is not None and found is not None and not np.allclose(
                        host(expected._data), host(found._data)):
                    raise GradcheckError(
                        f"Mismatch in tangent values for output with index: {number} when input: "
                        f"{inputs[place]} has an undefined tangent value. Got: {expected} but "
                        f"expected: {found}")

    def _expect_constant(self, func: Callable, inputs: tuple) -> None:
        """Nothing says that it can be differentiated, so nothing may move."""
        for place in _moving(inputs):
            for way in self._directions(inputs[place]):
                if any((each != 0).any() for each in self._difference(func, inputs, place, way)):
                    raise GradcheckError("Numerical gradient for function expected to be zero")


def _units(tensor: Any, random: bool, factors: tuple) -> Iterator[Any]:
    """Unit vectors of the tensor's shape, times each factor; or one random vector for each."""
    shape, size = tensor._data.shape, tensor._data.size
    for number, factor in enumerate(factors):
        if random:
            vector = np.random.default_rng(number).random(shape)
            yield vector / (np.linalg.norm(vector) or 1) * factor
            continue
        for element in range(size):
            vector = np.zeros(size)
            vector[element] = 1
            yield vector.reshape(shape) * factor


def _along(gradient: Any, way: Any) -> Any:
    """How fast a real output grows in the direction `way`, given its gradient."""
    return (np.conj(gradient) * way).sum().real


def _joined(columns: list, is_complex: bool) -> Any:
    """Derivatives by the real and by the imaginary parts of an input as complex numbers."""
    found = np.array(columns)
    if not is_complex:
        return found
    half = len(found) // 2
    return found[:half] + 1j * found[half:]


# --- inputs and outputs ---------------------------------------------------------------------------

def _as_tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _numbers(outputs: Any) -> list:
    """The outputs that are floating-point or complex tensors."""
    return [each for each in _as_tuple(outputs) if isinstance(each, TensorBase)
            and (each.dtype.is_floating_point or each.dtype.is_complex)]


def _differentiable(outputs: Any) -> list:
    return [each for each in _as_tuple(outputs)
            if isinstance(each, TensorBase) and each.requires_grad]


def _moving(inputs: tuple) -> list[int]:
    """Which inputs require gradients."""
    return [i for i, each in enumerate(inputs)
            if isinstance(each, TensorBase) and each.requires_grad]


def _check_inputs(inputs: tuple) -> None:
    if not _moving(inputs):
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but "
                         "none of them have requires_grad=True.")
    for place in _moving(inputs):
        data = inputs[place]._data
        if data.dtype.name not in ("float64", "complex128"):
            warnings.warn(
                f"Input #{place} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex. ", stacklevel=3)
        if any(stride == 0 and size > 1
               for stride, size in zip(data.strides, data.shape, strict=True)):
            raise RuntimeError(
                f"The {place}th input has a dimension with stride 0. gradcheck only supports "
                "inputs that are non-overlapping to be able to compute the numerical gradients "
                "correctly. You should call .contiguous on the input before passing it to "
                "gradcheck.")


def _as_tensor(array: Any, like: Any) -> Any:
    return wrap(array_module(like._data).asarray(array, like._data.dtype))


def _random_like(tensor: Any, strided: bool) -> Any:
    """Random numbers between -1 and 1 that require a gradient."""
    shape = tensor._data.shape
    wide = (*shape[:-1], shape[-1] * 2) if strided and shape else shape
    values = np.random.default_rng(0).uniform(-1, 1, (2, *wide))
    array = values[0] + 1j * values[1] if tensor.is_complex() else values[0]
    found = _as_tensor(array, tensor)
    return (found[..., ::2] if wide != shape else found).requires_grad_()


def _duals(inputs: tuple, tangents: dict[int, Any]) -> list:
    """The inputs with these tangents; zeros for the others, None for no tangent at all."""
    found = list(inputs)
    for place in _moving(inputs):
        found[place] = inputs[place].detach()
        tangent = tangents.get(place, inputs[place].detach() * 0)
        if tangent is not None:
            found[place] = make_dual(found[place], tangent)
    return found


def _output_part(func: Callable, part: str) -> Callable:
    """The function with the real or imaginary part of its complex outputs."""
    def seen(output: Any) -> Any:
        if not isinstance(output, TensorBase):
            return output
        if output.dtype.is_complex:
            return getattr(output, part[:4])
        return output if part == "real" else _as_tensor(np.zeros(output._data.shape), output)

    def of_part(*inputs: Any) -> tuple:
        return tuple([seen(each) for each in _as_tuple(func(*inputs))])

    return of_part


def _input_part(func: Callable, inputs: tuple, complex_at: list, part: str) -> Callable:
    """The function of the real or imaginary parts of its complex inputs, the others fixed."""
    def of_part(*parts: Any) -> Any:
        given = list(parts)
        for place in complex_at:
            other = inputs[place].detach()
            given[place] = to_complex(parts[place], other.imag) if part == "real" else \
                to_complex(other.real, parts[place])
        return func(*given)

    return of_part


# --- gradients that are zero or missing -----------------------------------------------------------

class _Undefined(Function):
    """The identity, whose gradient gets lost."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None


def _gradients_of_zero(outputs: list, inputs: tuple) -> list:
    moving = [inputs[place] for place in _moving(inputs)]
    weights = [each.detach() * 0 for each in outputs]
    return [g for g in autograd.grad(outputs, moving, weights, allow_unused=True) if g is not None]


def _check_zero_gradients(outputs: list, inputs: tuple) -> None:
    """Backward is linear: of zeros it makes zeros."""
    if outputs and any(g._data.any() for g in _gradients_of_zero(outputs, inputs)):
        raise GradcheckError("backward not multiplied by grad_output")


def _check_undefined(func: Callable, inputs: tuple) -> None:
    """Outputs whose gradient is missing: all of them, then each."""
    count = len(_differentiable(func(*inputs)))
    for missing in [set(range(count)), *([{i} for i in range(count)] if count > 1 else [])]:
        outputs = [_Undefined.apply(each) if i in missing else each
                   for i, each in enumerate(_differentiable(func(*inputs)))]
        if not outputs:
            return
        try:
            found = _gradients_of_zero(outputs, inputs)
        except RuntimeError as error:
            raise GradcheckError(
                "Expected backward function to handle undefined output grads. Please look at "
                "\"Notes about undefined output gradients\" in "
                '"tools/autograd/derivatives.yaml"') from error
        if any(g._data.any() for g in found):
            raise GradcheckError(
                "Expected all input grads to be undefined or zero when all output grads are "
                "undefined or zero. Please look at \"Notes about undefined output gradients\" in "
                '"tools/autograd/derivatives.yaml"')


__getattr__ = missing_in(__name__)
