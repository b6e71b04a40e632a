"""Averages of weights: torch.optim.swa_utils."""

from __future__ import annotations

import importlib

import pytest

from parity_tests.harness import check_error, program


def utils_of(torch):
    return importlib.import_module(f"{torch.__name__}.optim.swa_utils")


WAYS = {
    "plain": lambda u: {},
    "buffers": lambda u: {"use_buffers": True},
    "ema": lambda u: {"avg_fn": u.get_ema_avg_fn(0.9)},
    "ema_buffers": lambda u: {"avg_fn": u.get_ema_avg_fn(0.9), "use_buffers": True},
    "swa": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "multi_ema": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)},
    "multi_ema_buffers": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.3),
                                    "use_buffers": True},
    "multi_swa": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "own": lambda u: {"avg_fn": lambda mean, value, count: 0.5 * mean + 0.25 * value * count},
}


@pytest.mark.parametrize("way", WAYS)
def test_averaged_model(way):
    def run(torch, device):
        nn = torch.nn
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to(device)
        averaged = utils_of(torch).AveragedModel(model, **WAYS[way](utils_of(torch)))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        data = [torch.randn(5, 3).to(device) for _ in range(6)]
        for x in data:
            optimizer.zero_grad()
            (model(x) ** 2).sum().backward()
            optimizer.step()
            averaged.update_parameters(model)
        states = dict(averaged.state_dict())
        if way == "plain":
            utils_of(torch).update_bn(data, averaged)
            utils_of(torch).update_bn([(x, None) for x in data], averaged, device)
        return states, averaged(data[0]), dict(averaged.state_dict()), averaged.training, [
            module.momentum for module in averaged.modules() if hasattr(module, "momentum")]

    program(run)


def test_averages_of_integers():
    def run(torch):
        found = []
        for count in (3, torch.tensor(3)):
            for make in ("get_swa_multi_avg_fn", "get_ema_multi_avg_fn"):
                means, values = [torch.arange(4)], [torch.arange(4) * 7]
                try:
                    getattr(utils_of(torch), make)()(means, values, count)
                except RuntimeError as error:
                    found.append(str(error))
                found.append(means[0])
        return found

    program(run)


def test_update_bn_without_any():
    def run(torch):
        model = torch.nn.Linear(2, 2)
        utils_of(torch).update_bn([torch.ones(1, 2)], model)
        return model.training, model.weight

    program(run)


ERRORS = {
    "ema": lambda torch: utils_of(torch).get_ema_avg_fn(1.5),
    "multi_ema": lambda torch: utils_of(torch).get_ema_multi_avg_fn(-1),
    "both": lambda torch: utils_of(torch).AveragedModel(
        torch.nn.ReLU(), avg_fn=lambda *a: 0, multi_avg_fn=lambda *a: 0),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], ERRORS[name])
