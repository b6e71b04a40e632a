"""nn.utils.prune: what is kept, of what, how often, and what is refused."""

from __future__ import annotations

import copy
import importlib
import pickle

import pytest
import torch.nn.utils.prune  # noqa: F401  (torch does not import it by itself)

from parity_tests.harness import check_error, program
from parity_tests.test_modules import weighted_sum

METHODS = {
    "identity": lambda p, m: p.identity(m, "weight"),
    "random": lambda p, m: p.random_unstructured(m, "weight", 0.3),
    "random_count": lambda p, m: p.random_unstructured(m, "weight", 5),
    "l1": lambda p, m: p.l1_unstructured(m, "weight", amount=0.4),
    "l1_none": lambda p, m: p.l1_unstructured(m, "weight", amount=0),
    "l1_all": lambda p, m: p.l1_unstructured(m, "weight", amount=1.0),
    "l1_scores": lambda p, m: p.l1_unstructured(m, "weight", 7, importance_scores=-m.weight ** 2),
    "rows": lambda p, m: p.random_structured(m, "weight", 2, dim=0),
    "columns": lambda p, m: p.random_structured(m, "weight", 0.5, -1),
    "no_rows": lambda p, m: p.random_structured(m, "weight", 0.05, dim=0),
    "ln_rows": lambda p, m: p.ln_structured(m, "weight", 0.4, n=2, dim=0),
    "ln_columns": lambda p, m: p.ln_structured(m, "weight", 2, n=1, dim=-1),
    "ln_largest": lambda p, m: p.ln_structured(m, "weight", 2, n=float("inf"), dim=1),
    "ln_smallest": lambda p, m: p.ln_structured(m, "weight", 2, n=-float("inf"), dim=1),
    "ln_scores": lambda p, m: p.ln_structured(m, "weight", 2, 2, 1, importance_scores=1 / m.weight),
    "mask": lambda p, m: p.custom_from_mask(m, "weight", (m.weight > 0)),
}


def pruning(torch):
    return importlib.import_module(f"{torch.__name__}.nn.utils.prune")


def look(torch, module):
    """What can be seen of a (pruned) module, as it is now."""
    now = lambda pairs: {name: tensor.detach().clone() for name, tensor in pairs}
    return (now(module.state_dict().items()), module.weight.detach().clone(),
            module.weight.requires_grad, module.weight.is_leaf, now(module.named_parameters()),
            now(module.named_buffers()), repr(module), "weight" in vars(module),
            pruning(torch).is_pruned(module))


@pytest.mark.parametrize("name", METHODS)
def test_method(name):
    def run(torch, device):
        prune, module = pruning(torch), torch.nn.Linear(6, 5)
        weight, before = module.weight, prune.is_pruned(module)
        same = METHODS[name](prune, module) is module
        found = [before, same, look(torch, module), module.weight_orig is weight]
        module.to(device)  # from here on: random numbers are the CPU's
        for _ in range(2):
            module.zero_grad()
            weighted_sum(torch, module(torch.ones(2, 6, device=device)) ** 2).backward()
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.sub_(parameter.grad * 0.125)
            found += [[p.grad.clone() for p in module.parameters()], module.weight]
        module(torch.ones(2, 6, device=device))
        prune.remove(module, "weight")
        return [*found, look(torch, module), module.weight is weight, torch.rand(1)]

    program(run)


@pytest.mark.parametrize("first", ["random", "l1", "rows", "ln_columns", "mask", "identity"])
@pytest.mark.parametrize("second", ["random_count", "l1", "columns", "ln_rows", "mask"])
def test_one_after_the_other(first, second):
    def run(torch):
        prune, module = pruning(torch), torch.nn.Linear(6, 5)
        METHODS[first](prune, module)
        METHODS[second](prune, module)
        METHODS["l1"](prune, module)
        (hook,) = [hook for hook in every_hook(module)]
        return (look(torch, module), [type(each).__name__ for each in hook], len(hook),
                hook[0]._tensor_name, hook._tensor_name, torch.rand(1))

    program(run)


def every_hook(module):
    if hasattr(module, "_forward_pre_hooks"):
        return list(module._forward_pre_hooks.values())
    return [hook for hook, _, _ in module._hooks.before_forward]


def test_several_dims():
    def run(torch, device):
        prune, found = pruning(torch), []
        for dim in (0, 1, 2, -1, -3):
            module = torch.nn.Module()
            module.weight = torch.nn.Parameter(torch.randn(4, 5, 3).to(device))
            prune.ln_structured(module, "weight", 2, 2, dim)
            prune.random_structured(module, "weight", 1, dim)
            found.append(look(torch, module))
        return found

    program(run)


@pytest.mark.parametrize("method", ["L1Unstructured", "RandomUnstructured"])
@pytest.mark.parametrize("again", [False, True])
def test_global(method, again):
    def run(torch):
        prune, nn = pruning(torch), torch.nn
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        pairs = [(model[0], "weight"), (model[2], "weight"), (model[2], "bias")]
        if again:
            prune.l1_unstructured(model[0], "weight", 0.25)
        prune.global_unstructured(pairs, getattr(prune, method), amount=0.4)
        scores = {(model[0], "weight"): torch.ones(4, 3)}
        prune.global_unstructured(pairs, getattr(prune, method), importance_scores=scores,
                                  amount=3)
        return [list(model.state_dict().items()), model(torch.ones(1, 3)), prune.is_pruned(model),
                prune.is_pruned(model[1]), list(model.state_dict())]

    program(run)


def test_without_a_module():
    def run(torch, device):
        prune, t = pruning(torch), torch.arange(-4.0, 5.0, device=device).view(3, 3)
        method = prune.L1Unstructured(amount=3)
        mask = torch.ones(3, 3, device=device)
        mask[0] = 0
        return (method.prune(t), method.prune(t, default_mask=mask), method.prune(
            t, importance_scores=-t * t), prune.RandomStructured(1, 0).prune(t), mask)

    program(run)


def test_copies_and_states():
    def run(torch):
        prune, module = pruning(torch), torch.nn.Linear(3, 2)
        prune.l1_unstructured(module, "weight", 2)
        prune.random_unstructured(module, "bias", 1)
        other = torch.nn.Linear(3, 2)
        prune.identity(other, "weight")
        prune.identity(other, "bias")
        other.load_state_dict(module.state_dict())
        loaded = pickle.loads(pickle.dumps(module.state_dict()))
        x = torch.ones(1, 3)
        with torch.no_grad():
            return other(x), module(x), other.weight, loaded

    program(run)


def own_method(prune, kind="unstructured", **fields):
    class Own(prune.BasePruningMethod):
        PRUNING_TYPE = kind

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    for name, value in fields.items():
        setattr(Own, name, value)
    return Own


def test_a_method_of_ones_own():
    def run(torch):
        prune, module = pruning(torch), torch.nn.Linear(3, 2)
        method = own_method(prune).apply(module, "weight")
        found = [look(torch, module), type(method).__name__, method._tensor_name]
        own_method(prune).apply(module, "weight")
        own_method(prune, "structured", dim=0).apply(module, "weight")
        return [*found, look(torch, module)]

    program(run)


def failing(prune, module):
    class Failing(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            raise ValueError("no mask today")

    Failing.apply(module, "weight")


def test_nothing_changes_where_no_mask_is_found():
    def run(torch):
        prune, module = pruning(torch), torch.nn.Linear(3, 2)
        with pytest.raises(ValueError, match="no mask today"):
            failing(prune, module)
        return look(torch, module), module(torch.ones(1, 3))

    program(run)


WRONG = {
    "word": lambda p, m: p.l1_unstructured(m, "weight", "half"),
    "negative": lambda p, m: p.l1_unstructured(m, "weight", -1),
    "share": lambda p, m: p.random_unstructured(m, "weight", 1.5),
    "negative_share": lambda p, m: p.random_structured(m, "weight", -0.5, 0),
    "too_many": lambda p, m: p.l1_unstructured(m, "weight", 100),
    "too_many_rows": lambda p, m: p.ln_structured(m, "weight", 9, 2, 0),
    "vector": lambda p, m: p.random_structured(m, "bias", 1, 0),
    "dim": lambda p, m: p.ln_structured(m, "weight", 1, 2, 5),
    "absent": lambda p, m: p.l1_unstructured(m, "absent", 1),
    "mask_shape": lambda p, m: p.custom_from_mask(m, "weight", m.bias),
    "scores_shape": lambda p, m: p.l1_unstructured(m, "bias", 1, importance_scores=m.weight),
    "scores_shape_alone": lambda p, m: p.L1Unstructured(1).prune(m.bias,
                                                                 importance_scores=m.weight),
    "not_pruned": lambda p, m: p.remove(m, "weight"),
    "removed_twice": lambda p, m: p.remove(p.remove(p.identity(m, "weight"), "weight"), "weight"),
    "global_number": lambda p, m: p.global_unstructured(3, p.L1Unstructured, amount=1),
    "global_scores": lambda p, m: p.global_unstructured(
        [(m, "weight")], p.L1Unstructured, importance_scores=[1], amount=1),
    "abstract": lambda p, m: p.BasePruningMethod(),
    "kind": lambda p, m: [own_method(p, "odd").apply(m, "weight") for _ in range(2)],
    "no_dim": lambda p, m: [own_method(p, "structured").apply(m, "weight") for _ in range(2)],
    "low_dim": lambda p, m: [own_method(p, "structured", dim=-5).apply(m, "weight")
                             for _ in range(2)],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name):
    def run(torch):
        WRONG[name](pruning(torch), torch.nn.Linear(4, 3))

    if name == "abstract":
        check_error([], run, match="Can't instantiate abstract class BasePruningMethod")
    else:
        check_error([], run)


def test_containers_refuse():
    def other(torch):
        prune = pruning(torch)
        container, method = prune.PruningContainer(), prune.Identity()
        container._tensor_name, method._tensor_name = "weight", "bias"
        container.add_pruning_method(method)

    check_error([], other, match="Can only add pruning methods acting on the parameter named "
                                 "'weight' to PruningContainer")
    check_error([], lambda torch: pruning(torch).PruningContainer().add_pruning_method(3))


def test_copied_modules_stay_pruned():
    def run(torch):
        prune, module = pruning(torch), torch.nn.Linear(3, 2)
        prune.l1_unstructured(module, "weight", 2)
        with torch.no_grad():
            module(torch.ones(1, 3))  # leaves a weight without history, which can be copied
        twin = copy.deepcopy(module)
        with torch.no_grad():
            twin.weight_orig.mul_(2)
            found = twin(torch.ones(1, 3)), module(torch.ones(1, 3))
        prune.remove(twin, "weight")
        return found, prune.is_pruned(twin), prune.is_pruned(module), twin.weight

    program(run)
