"""Every optimiser of torch's own database, with every option that it lists.

A level takes all option sets of an optimiser: 30 steps in float64, complex128, ... must leave the
same parameters, the same state under the same keys, and print the same.
"""

from __future__ import annotations

import copy
import inspect
import warnings

import numpy as np
import pytest
import torch
from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

from parity_tests import harness
from parity_tests.compare import compare, measure
from parity_tests.harness import candidate
from parity_tests.test_operators import relative

STEPS = 30
RTOL = {"float64": 1e-12, "complex128": 1e-12, "float32": 1e-5}
# What L-BFGS remembers are differences of gradients that are nearly equal, and quotients of them;
# in float32 there is nothing left of them to compare but the number of evaluations.
REMEMBERED = {"float64": 1e-8, "complex128": 1e-8}
BY_NAME = {info.name: info for info in optim_db}

# Sparse tensors are out of scope, so there is no step of SparseAdam to take: torch refuses dense
# gradients, and that is compared.
SPARSE_ONLY = {"SparseAdam"}


class Trial:
    """One optimiser in one library on one problem."""

    def __init__(self, lib, device, name, options, dtype, requires_graph=False):
        self.lib, self.place = lib, "cpu" if device == "cpu" else "cuda"
        rng = np.random.default_rng(7)
        self.dtype = dtype
        draw = lambda *shape: self.tensor(rng, shape)
        shapes = [(3, 4), (4, 2), (2, 5)] if name == "Muon" else [(3, 4), (4,), (), (2,), (2, 2, 3)]
        self.parameters = [draw(*shape).requires_grad_() for shape in shapes]
        self.noise = np.random.default_rng(8)
        options = {key: self.converted(value) for key, value in options.items()}
        if name == "SGD":
            options.setdefault("lr", 0.05)  # at the default some problems hardly move
        self.optimizer = getattr(lib.optim, name)(self.parameters, **options)
        self.needs_closure = name == "LBFGS"

    def tensor(self, rng, shape):
        array = rng.standard_normal(shape)
        if self.dtype.startswith("complex"):
            array = array + 1j * rng.standard_normal(shape)
        return self.lib.tensor(array).to(dtype=getattr(self.lib, self.dtype)).to(self.place)

    def converted(self, value):
        """The same option with this library's tensors."""
        if isinstance(value, torch.Tensor):
            return self.lib.tensor(value.numpy()).to(getattr(self.lib, str(value.dtype)[6:]))
        if isinstance(value, tuple):
            return tuple(self.converted(each) for each in value)
        return value

    def loss(self):
        """One whose gradients stay bounded, but change from step to step. L-BFGS gets the same
        convex one each time."""
        total = 0
        for number, parameter in enumerate(self.parameters):
            if number == 3:
                continue  # it gets no gradient
            real = self.lib.view_as_real(parameter) if parameter.is_complex() else parameter
            if self.needs_closure:
                total = total + ((real - number) ** 2 / (2 + number) + real.cosh() / 9).sum()
            else:
                noise = self.noise.standard_normal(real.shape)
                total = total + real.cos().sum() + (real * self.lib.tensor(noise).to(
                    real.dtype).to(self.place)).sum()
        return total

    def closure(self):
        self.optimizer.zero_grad()
        value = self.loss()
        value.backward()
        return value

    def run(self, steps=STEPS):
        steps = min(steps, 2) if self.needs_closure else steps  # of up to 20 iterations
        for _ in range(steps):
            if self.needs_closure:
                self.optimizer.step(self.closure)
            else:
                self.closure()
                self.optimizer.step()

    def found(self):
        return (self.parameters, self.optimizer.state_dict(), repr(self.optimizer),
                self.optimizer.defaults)


def option_sets(info, dtype):
    """Every option set of the database, then each kernel that torch has, then tensors for lr."""
    sets = [case.kwargs for case in info.optim_inputs_func(device="cpu", dtype=torch.float32)]
    for flag in ("foreach", "fused"):
        on = flag in info.supported_impls and (flag == "foreach" or "cpu" in info.supports_fused_on)
        if on and not (flag == "fused" and dtype.startswith("complex")):
            sets += [{**options, flag: True} for options in sets[:4]
                     if not isinstance(options.get("lr"), torch.Tensor)]
    # ASGD raises it to a power: in float32 the libraries' pow functions differ in the last place.
    sets.append({"lr": torch.tensor(0.01, dtype=torch.float64 if info.name == "ASGD" else None)})
    return [copy.deepcopy(options) for options in sets]


def options_for(lib, info, options):
    """`foreach` promises the results of the loop; torch's for ASGD rounds in float32 on the way."""
    if lib is torch and info.name == "ASGD" and options.get("foreach"):
        return {**options, "foreach": False}
    return options


def both(fn):
    """`fn(lib, device)` in both libraries: (candidate's, torch's)."""
    return [fn(lib, device) for lib, device in ((candidate(), harness.DEVICE), (torch, "cpu"))]


def compare_found(info, mine, theirs, dtype):
    compare(mine[0], theirs[0], "parameters", rtol=RTOL[dtype])
    states = [each[1]["state"] for each in (mine, theirs)]
    if info.name == "LBFGS" and dtype == "float32":
        states = [{name: value if isinstance(value, int) else type(value).__name__
                   for name, value in state[0].items()} for state in states]
    compare(*states, "state", rtol=REMEMBERED[dtype] if info.name == "LBFGS" and
            dtype in REMEMBERED else RTOL[dtype])
    compare(*[[{**group, "foreach": None} for group in each[1]["param_groups"]]
              for each in (mine, theirs)], "groups")


def compare_steps(info, dtype):
    for options in option_sets(info, dtype):
        trials = both(lambda lib, device, options=options: Trial(
            lib, device, info.name, options_for(lib, info, options), dtype))
        for trial in trials:
            trial.run()
        try:
            compare_found(info, *[trial.found() for trial in trials], dtype)
            if options_for(torch, info, options) == options:
                compare(*[trial.found()[2:] for trial in trials])
        except AssertionError as error:
            error.add_note(f"with {options}, {dtype}")
            raise
        yield


def compare_errors_of(fn, arguments):
    raised = []
    for argument in arguments:
        with pytest.raises(Exception) as caught, warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            fn(argument)
        raised.append((caught.type.__name__, str(caught.value)))
    compare(*raised, "the error")


def steps(info):
    if info.name in SPARSE_ONLY:
        for options in option_sets(info, "float64"):
            compare_errors_of(lambda trial: trial.run(1), both(
                lambda lib, device, options=options: Trial(lib, device, info.name, options,
                                                           "float64")))
            yield
        return
    yield from compare_steps(info, "float64")


def single(info):
    yield from compare_steps(info, "float32")


def complex_numbers(info):
    yield from compare_steps(info, "complex128")


def half(info):
    """Three steps in 16 bits."""
    for dtype in ("float16", "bfloat16"):
        options = {"eps": (1e-3, 1e-3)} if info.name == "Adafactor" else \
            {"eps": 0.1} if "eps" in inspect.signature(info.optim_cls).parameters else {}
        trials = both(lambda lib, device, dtype=dtype, options=options: Trial(
            lib, device, info.name, options, dtype))
        for trial in trials:
            rng = np.random.default_rng(3)
            for _ in range(3):
                for parameter in trial.parameters:
                    parameter.grad = trial.tensor(rng, parameter.shape)
                trial.optimizer.step()
        compare(*[trial.found() for trial in trials])
        yield


def saved(info):
    """torch's state, loaded here, goes on as in torch; so does this one, loaded in torch."""
    for options in option_sets(info, "float64")[:4]:
        trials = both(lambda lib, device, options=options: Trial(
            lib, device, info.name, options, "float64"))
        for trial in trials:
            trial.run(5)
        for source in trials:  # whose state both go on with
            fresh = both(lambda lib, device, options=options: Trial(
                lib, device, info.name, options, "float64"))
            for trial in fresh:
                trial.optimizer.load_state_dict(
                    translated(copy.deepcopy(source.optimizer.state_dict()), trial))
                trial.run(5)
            compare_found(info, *[trial.found() for trial in fresh], "float64")
        yield


def translated(value, trial):
    """A nest of one library's tensors as the other's."""
    if isinstance(value, dict):
        return {key: translated(each, trial) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(translated(each, trial) for each in value)
    if hasattr(value, "requires_grad_"):
        array = value.detach().cpu().numpy()
        made = trial.lib.tensor(array)
        return made.to(trial.place) if array.ndim else made
    return value


def differentiable(info):
    """The gradients that flow through three steps, to what the gradients were made of."""
    for options in option_sets(info, "float64"):
        if {"foreach", "fused"} & options.keys():
            continue
        yield from _through_steps(info, options)


def _through_steps(info, options):
    def run(lib, device, steps):
        trial = Trial(lib, device, info.name, {}, "float64")
        rng = np.random.default_rng(11)
        leaves = [trial.tensor(rng, (3, 4)).requires_grad_() for _ in range(1 + steps)]
        parameter = leaves[0].clone()
        converted = {key: trial.converted(value) for key, value in options.items()}
        optimizer = getattr(lib.optim, info.name)([parameter], differentiable=True, **converted)
        for gradient in leaves[1:]:
            parameter.grad = gradient * gradient.exp()
            optimizer.step()
        return parameter, lib.autograd.grad((parameter**2).sum(), leaves, allow_unused=True)

    # Some of torch's rules write over what their last step saved: they allow for one step only.
    try:
        expected = run(torch, "cpu", 3)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        compare(run(candidate(), harness.DEVICE, 1), run(torch, "cpu", 1), rtol=1e-12)
    else:
        compare(run(candidate(), harness.DEVICE, 3), expected, rtol=1e-12)
    yield


def errors(info):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = info.optim_error_inputs_func(device="cpu", dtype=torch.float32)
    for case in cases:
        given = case.optimizer_error_input
        if any(each.is_sparse for each in tensors_in(given.params)):
            continue  # minigrad cannot make one
        trials = both(lambda lib, device: Trial(lib, device, "SGD", {}, "float32"))

        def provoke(trial, given=given, case=case):
            made = {}
            params = own(given.params, trial, made)
            if params is None:
                params = [trial.lib.nn.Parameter(trial.lib.ones(1, 1))]
            options = {key: trial.converted(value) for key, value in given.kwargs.items()}
            optimizer = getattr(trial.lib.optim, info.name)(params, **options)
            if case.error_on == OptimizerErrorEnum.STEP_ERROR:
                optimizer.step()

        compare_errors_of(provoke, trials)
        yield


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors_in(each)


def own(value, trial, made):
    """A nest of torch's tensors as the library's, the same ones where they are the same."""
    if isinstance(value, torch.Tensor):
        if trial.lib is torch:
            return value
        if id(value) not in made:
            fresh = trial.lib.tensor(value.detach().numpy())
            made[id(value)] = trial.lib.nn.Parameter(fresh) if isinstance(
                value, torch.nn.Parameter) else fresh
            if value.grad is not None:
                made[id(value)].grad = trial.lib.tensor(value.grad.numpy())
        return made[id(value)]
    if isinstance(value, dict):
        return {key: own(each, trial, made) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(own(each, trial, made) for each in value)
    return value


LEVELS = {"steps": steps, "float32": single, "complex": complex_numbers, "half": half,
          "state": saved, "differentiable": differentiable, "errors": errors}


def applies(info, level):
    if level == "complex":
        return info.supports_complex
    if level == "differentiable":
        return "differentiable" in info.supported_impls
    if level == "half":  # L-BFGS measures its progress in units that 16 bits do not have
        return info.name not in SPARSE_ONLY | {"LBFGS"}
    return level in ("steps", "errors") or info.name not in SPARSE_ONLY


def expected_cells():
    """{optimiser: its levels}, for docs/parity.md."""
    return {name: [level for level in LEVELS if applies(info, level)]
            for name, info in BY_NAME.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "level"), [
    pytest.param(name, level, id=f"{name}-{level}")
    for name, levels in expected_cells().items() for level in levels])
def test_optimizer(name, level, record_property):
    with measure() as largest:
        comparisons = sum(1 for _ in LEVELS[level](BY_NAME[name]))
    assert comparisons, "nothing was compared"
    record_property("error", largest.error)
    record_property("comparisons", comparisons)
    cls = getattr(candidate().optim, name)
    code = cls.__init__.__code__
    record_property("source", relative(f"{code.co_filename}:{inspect.getsourcelines(cls)[1]}"))
