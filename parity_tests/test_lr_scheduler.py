"""The learning rate schedules: 60 steps of each, saved state, combinations, errors."""

from __future__ import annotations

import copy
import importlib
import inspect
import math
import warnings

import pytest

from parity_tests.compare import measure
from parity_tests.harness import candidate, check_error, program
from parity_tests.test_operators import relative


def optimizer(torch, momentum=0.0, kind="SGD", rate=lambda lr: lr):
    parameters = [torch.ones(1, requires_grad=True) for _ in range(2)]
    groups = [{"params": [parameters[0]]}, {"params": [parameters[1]], "lr": rate(0.5)}]
    options = {"momentum": momentum} if kind == "SGD" else {}
    return getattr(torch.optim, kind)(groups, lr=rate(0.1), **options)


def swa_utils_of(schedules):
    return importlib.import_module(schedules.__name__.replace("lr_scheduler", "swa_utils"))


# name: (the schedule of an optimiser, the momentum that it needs)
SCHEDULES = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda t: 0.95**t),
    "lambda_list": lambda s, o: s.LambdaLR(o, [lambda t: 1 / (1 + t), lambda t: t % 7]),
    "warmup_cosine": lambda s, o: s.LambdaLR(o, lambda t: t / 10 if t < 10 else
                                             0.5 * (1 + math.cos(math.pi * (t - 10) / 50))),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda t: 0.9),
    "step": lambda s, o: s.StepLR(o, 7, 0.5),
    "multi_step": lambda s, o: s.MultiStepLR(o, [5, 20, 20, 43], 0.3),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 9),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.9, 25),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.93),
    "polynomial": lambda s, o: s.PolynomialLR(o, 40, 2.0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 50, 0.01),
    "cosine_past_its_end": lambda s, o: s.CosineAnnealingLR(o, 12),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 9),
    "restarts_growing": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, 2, 0.001),
    "sequential": lambda s, o: s.SequentialLR(o, [
        s.ConstantLR(o, 0.1, 3), s.LinearLR(o, 0.5, 1.0, 10), s.ExponentialLR(o, 0.9)], [4, 20]),
    "sequential_cosine": lambda s, o: s.SequentialLR(o, [
        s.LinearLR(o, 0.01, 1.0, 10), s.CosineAnnealingLR(o, 50)], [10]),
    "chained": lambda s, o: s.ChainedScheduler([
        s.ConstantLR(o, 0.1, 20), s.ExponentialLR(o, 0.95)]),
    "sequential_nested": lambda s, o: s.SequentialLR(o, [
        s.SequentialLR(o, [s.ConstantLR(o, 0.1, 3), s.StepLR(o, 2)], [5]),
        s.ExponentialLR(o, 0.9)], [12]),
    "sequential_chained": lambda s, o: s.SequentialLR(o, [
        s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.StepLR(o, 2)]),
        s.ExponentialLR(o, 0.9)], [12]),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.4, 7),
    "cyclic_halved": lambda s, o: s.CyclicLR(o, [0.01, 0.1], [0.4, 1.0], 5, 11, "triangular2",
                                             base_momentum=[0.1, 0.2], max_momentum=0.7),
    "cyclic_exponential": lambda s, o: s.CyclicLR(o, 0.01, 0.4, 6, mode="exp_range", gamma=0.97),
    "cyclic_function": lambda s, o: s.CyclicLR(
        o, 0.01, 0.4, 6, scale_fn=lambda x: 0.5 * (1 + math.sin(x)), cycle_momentum=False),
    "cyclic_iterations": lambda s, o: s.CyclicLR(
        o, 0.01, 0.4, 6, scale_fn=lambda x: 1 / (1 + x), scale_mode="iterations"),
    "swa": lambda s, o: swa_utils_of(s).SWALR(o, 0.05),
    "swa_linear": lambda s, o: swa_utils_of(s).SWALR(o, [0.05, 0.7], 23, "linear"),
    "swa_at_once": lambda s, o: swa_utils_of(s).SWALR(o, 0.05, 0),
    "one_cycle": lambda s, o: s.OneCycleLR(o, 0.8, total_steps=61),
    "one_cycle_linear": lambda s, o: s.OneCycleLR(
        o, [0.8, 2.0], epochs=13, steps_per_epoch=5, pct_start=0.4, anneal_strategy="linear",
        three_phase=True, div_factor=10, final_div_factor=100),
}


def rates(schedule, opt, steps):
    found = []
    for _ in range(steps):
        opt.step()
        schedule.step()
        found.append(([group["lr"] for group in opt.param_groups],
                      [group["momentum"] for group in opt.param_groups],
                      schedule.get_last_lr(), getattr(schedule, "last_epoch", None)))
    return found


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore")
def test_sixty_steps(name):
    def run(torch):
        opt = optimizer(torch, momentum=0.9)
        schedule = SCHEDULES[name](torch.optim.lr_scheduler, opt)
        start = [group["lr"] for group in opt.param_groups], schedule.get_last_lr()
        return start, rates(schedule, opt, 60), [sorted(g) for g in opt.param_groups]

    program(run, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore")
def test_state_goes_on_where_it_was_saved(name):
    def run(torch):
        opt = optimizer(torch, momentum=0.9)
        schedule = SCHEDULES[name](torch.optim.lr_scheduler, opt)
        rates(schedule, opt, 11)
        saved = copy.deepcopy((opt.state_dict(), schedule.state_dict()))
        other = optimizer(torch, momentum=0.9)
        resumed = SCHEDULES[name](torch.optim.lr_scheduler, other)
        other.load_state_dict(saved[0])
        resumed.load_state_dict(saved[1])
        plain = {key: value for key, value in saved[1].items()
                 if isinstance(value, (int, float, bool, list)) and not key.startswith("_")}
        return rates(schedule, opt, 15), rates(resumed, other, 15), plain

    program(run, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("options", [
    {}, {"patience": 2}, {"mode": "max", "patience": 1}, {"factor": 0.5, "cooldown": 3},
    {"threshold": 0.05, "threshold_mode": "abs", "patience": 3}, {"min_lr": [0.05, 0.3]},
    {"patience": 0, "eps": 0.01}], ids=str)
def test_plateau(options):
    def run(torch):
        opt = optimizer(torch)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, **options)
        found = []
        for step in range(60):
            opt.step()
            schedule.step(math.sin(step / 4) / (1 + step / 9) + 1)
            found.append((schedule.get_last_lr(), schedule.num_bad_epochs, schedule.best,
                          schedule.cooldown_counter))
        twin = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer(torch), **options)
        twin.load_state_dict(schedule.state_dict())
        return found, twin.best, twin.last_epoch

    program(run, rtol=1e-12, atol=1e-15)


def test_plateau_takes_a_tensor():
    def run(torch):
        opt = optimizer(torch)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, patience=0)
        for value in (1.0, 2.0, 0.5, 0.6):
            schedule.step(torch.tensor(value))
        return schedule.get_last_lr(), schedule.best

    program(run)


def test_explicit_epochs():
    def run(torch):
        found = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for name in ("step", "exponential", "cosine", "restarts", "multi_step", "linear",
                         "constant", "polynomial"):
                opt = optimizer(torch)
                schedule = SCHEDULES[name](torch.optim.lr_scheduler, opt)
                opt.step()
                for epoch in (3, 17, 4):
                    schedule.step(epoch)
                    found.append(schedule.get_last_lr())
        return found, sorted({str(warning.message) for warning in caught})

    program(run, rtol=1e-12, atol=1e-15)


def test_warnings_about_the_order():
    def run(torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            opt = optimizer(torch)
            schedule = torch.optim.lr_scheduler.StepLR(opt, 1)
            schedule.step()
            schedule.step()
        return [(warning.category, str(warning.message)) for warning in caught]

    program(run)


def test_last_epoch():
    def run(torch):
        opt = optimizer(torch)
        for group in opt.param_groups:
            group["initial_lr"] = 0.3
        schedule = torch.optim.lr_scheduler.StepLR(opt, 3, last_epoch=5)
        return rates(schedule, opt, 5), schedule.base_lrs

    program(run)


def test_other_warnings():
    def run(torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            opt = optimizer(torch)
            schedule = torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)
            rates = schedule.get_lr()
            opt.step = lambda: None
            opt.step()
            schedule.step()
        return rates, [(warning.category, str(warning.message)) for warning in caught]

    program(run)


ERRORS = {
    "not_an_optimizer": lambda torch, s, o: s.StepLR(3, 1),
    "no_initial_lr": lambda torch, s, o: s.StepLR(o, 1, last_epoch=3),
    "lambda_count": lambda torch, s, o: s.LambdaLR(o, [lambda t: 1]),
    "multiplicative_count": lambda torch, s, o: s.MultiplicativeLR(o, [lambda t: 1]),
    "constant": lambda torch, s, o: s.ConstantLR(o, 1.5),
    "linear_start": lambda torch, s, o: s.LinearLR(o, 0),
    "linear_end": lambda torch, s, o: s.LinearLR(o, 0.5, 1.5),
    "restarts_t0": lambda torch, s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "restarts_mult": lambda torch, s, o: s.CosineAnnealingWarmRestarts(o, 3, 0),
    "chained_empty": lambda torch, s, o: s.ChainedScheduler([]),
    "sequential_empty": lambda torch, s, o: s.SequentialLR(o, [], []),
    "sequential_milestones": lambda torch, s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [3]),
    "sequential_other": lambda torch, s, o: s.SequentialLR(
        o, [s.StepLR(o, 1), s.StepLR(optimizer(torch), 1)], [3]),
    "plateau_factor": lambda torch, s, o: s.ReduceLROnPlateau(o, factor=1.0),
    "plateau_mode": lambda torch, s, o: s.ReduceLROnPlateau(o, mode="mid"),
    "plateau_threshold": lambda torch, s, o: s.ReduceLROnPlateau(o, threshold_mode="x"),
    "plateau_min": lambda torch, s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    "plateau_not_an_optimizer": lambda torch, s, o: s.ReduceLROnPlateau(3),
    "plateau_new_group": lambda torch, s, o: [
        plateau := s.ReduceLROnPlateau(o, patience=0, min_lr=[0.0, 0.0]),
        o.add_param_group({"params": [torch.ones(1, requires_grad=True)]}),
        plateau.step(1.0), plateau.step(2.0)],
    "multiplicative_number": lambda torch, s, o: s.MultiplicativeLR(o, 3),
    "chained_plateau": lambda torch, s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
    "chained_other": lambda torch, s, o: s.ChainedScheduler([s.StepLR(o, 1)], optimizer(torch)),
    "chained_number": lambda torch, s, o: s.ChainedScheduler([3], o),
    "sequential_plateau": lambda torch, s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
    "sequential_number": lambda torch, s, o: s.SequentialLR(o, [3], []),
    "cyclic_count": lambda torch, s, o: s.CyclicLR(o, [0.1], 0.2),
    "cyclic_max": lambda torch, s, o: s.CyclicLR(o, 0.1, [0.2, 0.3, 0.4]),
    "cyclic_mode": lambda torch, s, o: s.CyclicLR(o, 0.1, 0.2, mode="x"),
    "cyclic_momentum": lambda torch, s, o: s.CyclicLR(optimizer(torch, kind="Adagrad"), 0.1, 0.2),
    "cyclic_not_an_optimizer": lambda torch, s, o: s.CyclicLR(3, 0.1, 0.2),
    "cycle_momentum": lambda torch, s, o: s.OneCycleLR(optimizer(torch, kind="Adagrad"), 0.1, 9),
    "cycle_count": lambda torch, s, o: s.OneCycleLR(o, [0.1], 9),
    "swa_strategy": lambda torch, s, o: swa_utils_of(s).SWALR(o, 0.1, 3, "x"),
    "swa_epochs": lambda torch, s, o: swa_utils_of(s).SWALR(o, 0.1, -3),
    "swa_count": lambda torch, s, o: swa_utils_of(s).SWALR(o, [0.1]),
    "cycle_steps": lambda torch, s, o: s.OneCycleLR(o, 0.1),
    "cycle_negative": lambda torch, s, o: s.OneCycleLR(o, 0.1, total_steps=-3),
    "cycle_pct": lambda torch, s, o: s.OneCycleLR(o, 0.1, total_steps=9, pct_start=2.0),
    "cycle_anneal": lambda torch, s, o: s.OneCycleLR(o, 0.1, total_steps=9, anneal_strategy="x"),
    "too_many_steps": lambda torch, s, o: [
        schedule := s.OneCycleLR(optimizer(torch, 0.9), 0.1, total_steps=3),
        *(schedule.step() for _ in range(5))],
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.filterwarnings("ignore")
def test_error(name):
    check_error([], lambda torch: ERRORS[name](torch, torch.optim.lr_scheduler, optimizer(torch)))


# --- class by class, for docs/parity.md ----------------------------------------------------------

CLASSES = {
    "LambdaLR": ["lambda", "lambda_list", "warmup_cosine"], "MultiplicativeLR": ["multiplicative"],
    "StepLR": ["step"], "MultiStepLR": ["multi_step"], "ConstantLR": ["constant"],
    "LinearLR": ["linear"], "ExponentialLR": ["exponential"], "PolynomialLR": ["polynomial"],
    "CosineAnnealingLR": ["cosine", "cosine_past_its_end"],
    "CosineAnnealingWarmRestarts": ["restarts", "restarts_growing"],
    "SequentialLR": ["sequential", "sequential_cosine", "sequential_nested",
                     "sequential_chained"],
    "ChainedScheduler": ["chained"], "OneCycleLR": ["one_cycle", "one_cycle_linear"],
    "CyclicLR": ["cyclic", "cyclic_halved", "cyclic_exponential", "cyclic_function",
                 "cyclic_iterations"],
    "SWALR": ["swa", "swa_linear", "swa_at_once"], "ReduceLROnPlateau": [],
}
PLATEAUS = [{}, {"patience": 2}, {"mode": "max", "patience": 1}, {"factor": 0.5, "cooldown": 3},
            {"threshold": 0.05, "threshold_mode": "abs", "patience": 3}]


def makers(name):
    """The ways to make a schedule of this class."""
    if name == "ReduceLROnPlateau":
        return [lambda s, o, options=options: s.ReduceLROnPlateau(o, **options)
                for options in PLATEAUS]
    return [SCHEDULES[each] for each in CLASSES[name]]


def go_on(schedule, opt, steps):
    found = []
    for step in range(steps):
        opt.step()
        if hasattr(schedule, "patience"):
            schedule.step(math.sin(step / 4) / (1 + step / 9) + 1)
        else:
            schedule.step()
        found.append(([own(group["lr"]) for group in opt.param_groups],
                      [group.get("momentum", group.get("betas")) for group in opt.param_groups],
                      schedule.get_last_lr()))
    return found


def own(value):
    return value.clone() if hasattr(value, "clone") else value


def fifty_steps(make, kind="SGD", rate=lambda torch, lr: lr, momentum=0.9):
    def run(torch):
        opt = optimizer(torch, momentum, kind, lambda lr: rate(torch, lr))
        schedule = make(torch.optim.lr_scheduler, opt)
        return go_on(schedule, opt, 50), [sorted(group) for group in opt.param_groups]

    program(run, rtol=1e-12, atol=1e-15)


def level_rates(make):
    fifty_steps(make)
    fifty_steps(make, kind="Adam")


def level_tensor(make):
    """With rates that are tensors, which are written to."""
    def rate(torch, lr):
        return torch.tensor(lr, dtype=torch.float64)
    fifty_steps(make, rate=rate)


def level_state(make):
    """The saved state: the same names and values, and it goes on as the schedule does."""
    def run(torch):
        opt = optimizer(torch, 0.9)
        schedule = make(torch.optim.lr_scheduler, opt)
        go_on(schedule, opt, 11)
        saved = copy.deepcopy((opt.state_dict(), schedule.state_dict()))
        other = optimizer(torch, 0.9)
        resumed = make(torch.optim.lr_scheduler, other)
        other.load_state_dict(saved[0])
        resumed.load_state_dict(copy.deepcopy(saved[1]))
        return plain(saved[1]), go_on(schedule, opt, 15), go_on(resumed, other, 15)

    program(run, rtol=1e-12, atol=1e-15)


def plain(value):
    """A state with its keys sorted: only a Counter among them, which is compared as a dict."""
    if isinstance(value, dict):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def level_epochs(make):
    """`step(epoch)`: the closed form, where there is one."""
    def run(torch):
        opt = optimizer(torch, 0.9)
        schedule = make(torch.optim.lr_scheduler, opt)
        opt.step()
        found = []
        for epoch in (3, 17, 4, 0):
            if hasattr(schedule, "patience"):
                schedule.step(1.0, epoch)
            else:
                schedule.step(epoch)
            found.append(schedule.get_last_lr())
        return found, schedule.last_epoch

    program(run, rtol=1e-12, atol=1e-15)


LEVELS = {"rates": level_rates, "tensor": level_tensor, "state": level_state,
          "epochs": level_epochs}


def expected_cells():
    """{schedule: its levels}, for docs/parity.md."""
    return {name: [level for level in LEVELS
                   if level != "epochs" or name not in ("SequentialLR", "ChainedScheduler")]
            for name in CLASSES}


@pytest.mark.parametrize(("name", "level"), [
    pytest.param(name, level, id=f"{name}-{level}")
    for name, levels in expected_cells().items() for level in levels])
@pytest.mark.filterwarnings("ignore")
def test_schedule(name, level, record_property):
    ways = makers(name)
    assert ways, "nothing to compare"
    with measure() as largest:
        for make in ways:
            LEVELS[level](make)
    record_property("error", largest.error)
    optim = candidate().optim
    cls = getattr(optim.lr_scheduler if name != "SWALR" else optim.swa_utils, name)
    record_property("source", relative(f"{inspect.getfile(cls)}:{inspect.getsourcelines(cls)[1]}"))


def test_every_schedule_is_compared():
    from torch.optim import lr_scheduler

    assert set(CLASSES) == set(lr_scheduler.__all__) - {"LRScheduler"} | {"SWALR"}
