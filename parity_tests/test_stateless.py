"""An optimiser that steps on parameters and a state that are lent to it."""

from __future__ import annotations

import pytest

from parity_tests.traces import attempt, traced


def trained(torch, name, count=2):
    weights = [torch.tensor([1.0, -2.0], requires_grad=True),
               torch.tensor([[0.5]], requires_grad=True)][:count]
    groups = [{"params": [weight], "lr": 0.1 * (i + 1)} for i, weight in enumerate(weights)]
    optimizer = getattr(torch.optim, name)(groups, lr=0.1)
    step(optimizer, weights)
    return optimizer, weights


def step(optimizer, weights):
    for weight in weights:
        weight.grad = weight.detach() * 2
    optimizer.step()


def saved(optimizer):
    """A state of its own."""
    found = optimizer.state_dict()
    copy = lambda value: value.clone() if hasattr(value, "clone") else value
    return {"state": {key: {name: copy(each) for name, each in value.items()}
                      for key, value in found["state"].items()},
            "param_groups": [dict(group) for group in found["param_groups"]]}


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Adagrad"])
@traced
def test_swap_in(torch, say, name):
    swap = torch.optim.swap_in_optimizer_params_and_state
    optimizer, weights = trained(torch, name)
    lent = {"a": torch.tensor([3.0, 4.0], requires_grad=True),
            "b": torch.tensor([[-1.0]], requires_grad=True)}
    state = saved(optimizer)
    state["param_groups"][0]["lr"] = 0.5
    lists = [group["params"] for group in optimizer.param_groups]
    with swap(optimizer, lent, state):
        say([group["lr"] for group in optimizer.param_groups])
        step(optimizer, lent.values())
        optimizer.state[lent["a"]]["added"] = 1
    say(list(lent.values()), state["state"], [group["lr"] for group in optimizer.param_groups])
    say([a is group["params"] for a, group in zip(lists, optimizer.param_groups, strict=True)])
    step(optimizer, weights)
    say(weights, [optimizer.state[weight] for weight in weights])


@traced
def test_swap_in_is_undone_after_an_error(torch, say):
    optimizer, weights = trained(torch, "Adam")
    swap = torch.optim.swap_in_optimizer_params_and_state

    def fail():
        with swap(optimizer, dict(enumerate([weights[1], weights[0]])), saved(optimizer)):
            optimizer.param_groups[0]["lr"] = 9.0
            raise KeyError("inside")

    say(attempt(fail), optimizer.param_groups[0]["lr"],
        optimizer.param_groups[0]["params"][0] is weights[0])


WRONG = {
    "state": lambda torch, s: s.update(state=[1]),
    "tensors": lambda torch, s: s.update(state={torch.ones(1): {}}),
    "entry": lambda torch, s: s["state"].update({0: 3}),
    "groups": lambda torch, s: s.update(param_groups=None),
    "fewer": lambda torch, s: s["param_groups"].pop(),
    "group": lambda torch, s: s["param_groups"].__setitem__(0, 3),
    "numbers": lambda torch, s: s["param_groups"][0].update(params=["a"]),
    "count": lambda torch, s: s["param_groups"][0].update(params=[0, 1]),
    "keys": lambda torch, s: s["param_groups"][0].update(other=1),
    "missing": lambda torch, s: s["param_groups"][0].pop("lr"),
    "extra": lambda torch, s: s["state"].update({7: {}}),
}


@pytest.mark.parametrize("name", WRONG)
@traced
def test_swap_in_refuses(torch, say, name):
    optimizer, weights = trained(torch, "Adam")
    state = saved(optimizer)
    WRONG[name](torch, state)

    def enter(parameters, state):
        with torch.optim.swap_in_optimizer_params_and_state(optimizer, parameters, state):
            say("entered")

    say(attempt(lambda: enter({"a": weights[0], "b": weights[1]}, state)))
    say(attempt(lambda: enter({"a": weights[0]}, saved(optimizer))))
    say(attempt(lambda: enter({}, 3)))
    say(attempt(lambda: enter({"a": weights[0], "b": weights[1]}, saved(optimizer))))
