"""The learning rate schedules: 60 steps of each, saved state, combinations, errors."""

from __future__ import annotations

import copy
import math
import warnings

import pytest

from parity_tests.harness import check_error, program


def optimizer(torch, momentum=0.0):
    parameters = [torch.ones(1, requires_grad=True) for _ in range(2)]
    return torch.optim.SGD([{"params": [parameters[0]]}, {"params": [parameters[1]], "lr": 0.5}],
                           lr=0.1, momentum=momentum)


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
