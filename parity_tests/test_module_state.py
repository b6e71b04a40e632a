"""state_dict and load_state_dict: names, metadata, hooks, and all ways in which they do not fit."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
import torch as reference

from parity_tests.harness import candidate, check_error, program
from parity_tests.test_module_tree import nested


def test_state_dict_shares_memory_and_is_detached():
    def run(torch):
        model = nested(torch)
        state, kept = model.state_dict(), model.state_dict(keep_vars=True)
        with torch.no_grad():
            model.scale.fill_(9.0)
        return state, kept, kept["scale"] is model.scale

    program(run)


def test_round_trip():
    def run(torch):
        model, other = nested(torch), nested(torch)
        model(torch.randn(5, 2))
        result = other.load_state_dict(model.state_dict())
        pointers = [p for p in other.parameters()]
        assigned = nested(torch)
        assigned.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)
        return (str(result), result.missing_keys, result.unexpected_keys, other.state_dict(),
                all(a is b for a, b in zip(pointers, other.parameters(), strict=True)),
                list(assigned.parameters()), assigned.twin(torch.ones(1, 2)))

    program(run)


def test_state_comes_from_torch_through_numpy():
    """What torch trained, minigrad runs."""
    make = lambda torch: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4),
                                             torch.nn.Linear(4, 2))
    reference.manual_seed(3)
    theirs, lib = make(reference), candidate()
    theirs(reference.randn(6, 3))
    ours = make(lib)
    ours.load_state_dict({name: lib.from_numpy(tensor.numpy().copy())
                          for name, tensor in theirs.state_dict().items()})
    program(lambda torch: (ours if torch is lib else theirs).eval()(torch.ones(2, 3)))


def change_state(torch, change, **options):
    model = nested(torch)
    state = model.state_dict()
    change(torch, state)
    return model.load_state_dict(state, **options)


BAD_STATES = {
    "missing": lambda torch, s: s.pop("scale"),
    "unexpected": lambda torch, s: s.update(extra=torch.ones(1)),
    "unexpected_below": lambda torch, s: s.update({"inner.0.x": torch.ones(1)}),
    "unexpected_path": lambda torch, s: s.update({"inner.9.x": torch.ones(1), "scale.x": 1}),
    "both": lambda torch, s: (s.pop("inner.0.weight"), s.update(a=1, b=2)),
    "size": lambda torch, s: s.update({"inner.0.weight": torch.ones(3, 2)}),
    "sizes": lambda torch, s: s.update({"scale": torch.ones(3), "norm.weight": torch.ones(5)}),
    "not_a_tensor": lambda torch, s: s.update(scale=[1.0, 2.0]),
    "all": lambda torch, s: s.clear(),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_bad_state(name):
    check_error([], lambda torch: change_state(torch, BAD_STATES[name]))


@pytest.mark.parametrize("name", ["missing", "unexpected", "unexpected_path", "both", "all"])
def test_bad_state_is_let_pass(name):
    def run(torch):
        result = change_state(torch, BAD_STATES[name], strict=False)
        return result.missing_keys, result.unexpected_keys, str(result)

    program(run)


def test_extra_state_and_state_hooks():
    def run(torch):
        events = []

        class Extra(torch.nn.Linear):
            def get_extra_state(self):
                return {"note": 3}

            def set_extra_state(self, state):
                events.append(state)

        model = torch.nn.Sequential(Extra(1, 1))
        model[0].register_state_dict_pre_hook(lambda m, prefix, keep: events.append((prefix, keep)))
        model.register_state_dict_post_hook(lambda m, state, prefix, meta: state.update(more=1))
        model.register_load_state_dict_pre_hook(
            lambda m, state, prefix, *rest: events.append((prefix, state.pop("more"))))
        model.register_load_state_dict_post_hook(
            lambda m, keys: events.append((list(keys.missing_keys), list(keys.unexpected_keys))))
        state = model.state_dict()
        model.load_state_dict(state)
        return list(state), events

    program(run)


# --- names and metadata --------------------------------------------------------------------------

def versioned(torch):
    """A module whose second version renamed a parameter, and which can load the first one's."""
    class Versioned(torch.nn.Module):
        _version = 2

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.arange(3.0))
            self.found = []

        def _load_from_state_dict(self, state, prefix, metadata, *rest):
            self.found.append((prefix, dict(metadata)))
            if metadata.get("version", 1) < 2 and prefix + "w" in state:
                state[prefix + "weight"] = state.pop(prefix + "w")
            super()._load_from_state_dict(state, prefix, metadata, *rest)

    return Versioned


def test_versions():
    def run(torch):
        kind = versioned(torch)
        model = torch.nn.Sequential(kind(), torch.nn.Sequential(kind()))
        state = model.state_dict()
        metadata = {name: dict(each) for name, each in state._metadata.items()}
        old = copy.deepcopy(state)
        for name in ("0", "1.0"):
            old._metadata[name]["version"] = 1
            old[name + ".w"] = old.pop(name + ".weight") + 1
        model.load_state_dict(old)
        plain = dict(state)  # without metadata, versions are unknown
        model.load_state_dict(plain)
        assigned = copy.deepcopy(state)
        model.load_state_dict(assigned, assign=True)
        return (metadata, model[0].found, model[1][0].found, model.state_dict(),
                {name: dict(each) for name, each in assigned._metadata.items()})

    program(run)


def test_prefixes_and_destinations():
    def run(torch):
        model, found = nested(torch), {"mine": 3}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            old = model.state_dict(found, "a.", True)
        same = model.state_dict(destination=found, prefix="b.")
        return (list(old), old is found, same is found, hasattr(found, "_metadata"),
                list(model.state_dict(prefix="x.")._metadata), found["a.scale"] is model.scale,
                found["b.scale"] is model.scale, [(str(w.message), w.category.__name__)
                                                  for w in caught])

    program(run)


def test_pickled_state_keeps_its_metadata():
    def run(torch):
        state = pickle.loads(pickle.dumps(nested(torch).state_dict()))
        return type(state).__name__, state._metadata, state

    program(run)


def test_what_is_assigned():
    def run(torch):
        nn = torch.nn
        model = nested(torch)
        model.scale.requires_grad_(False)
        state = model.state_dict()
        state["scale"] = nn.Parameter(torch.full((2,), 8.0, dtype=torch.float64))
        state["inner.0.bias"] = torch.zeros(2, dtype=torch.float64)
        state["count"] = torch.ones(2, dtype=torch.int64)
        before = model.inner[0].bias
        model.load_state_dict(state, assign=True)
        return (model.scale is state["scale"], model.scale, type(model.inner[0].bias).__name__,
                model.inner[0].bias, model.inner[0].bias is before, model.count is state["count"],
                model.count, list(model._buffers), list(model._parameters))

    program(run)


def test_values_are_cast_and_scalars_may_have_a_dimension():
    def run(torch):
        model = torch.nn.BatchNorm1d(2).half()
        state = {"weight": torch.tensor([1.5, 2.5], dtype=torch.float64),
                 "bias": torch.tensor([1, 2]), "running_mean": torch.ones(2),
                 "running_var": torch.ones(2), "num_batches_tracked": torch.tensor([7])}
        model.load_state_dict(state)
        return model.state_dict()

    program(run)


MORE_BAD_STATES = {
    "scalar_of_two": lambda torch, s: s.update({"norm.num_batches_tracked": torch.ones(2)}),
    "module_as_key": lambda torch, s: s.update({"inner": torch.ones(1)}),
    "extra_state": lambda torch, s: s.update({"_extra_state": 3, "norm._extra_state": 4}),
    "scratch": lambda torch, s: s.update(scratch=torch.ones(2)),
    "of_none": lambda torch, s: s.update(later=torch.ones(2), missing=torch.ones(1)),
    "order": lambda torch, s: (s.update({"z": 1, "inner.0.z": 1, "a": 1}), s.pop("norm.bias"),
                               s.pop("count")),
}


@pytest.mark.parametrize("name", MORE_BAD_STATES)
@pytest.mark.parametrize("strict", [True, False])
def test_more_bad_states(name, strict):
    if strict or name == "scalar_of_two":
        check_error([], lambda torch: change_state(torch, MORE_BAD_STATES[name], strict=strict))
    else:
        program(lambda torch: str(change_state(torch, MORE_BAD_STATES[name], strict=False)))


def test_names_below_an_empty_place_are_let_pass():
    program(lambda torch: str(change_state(torch, lambda torch, state: state.update(
        {"empty.weight": torch.ones(2)}))))


def test_a_value_that_cannot_be_copied():
    def run(torch):
        model = torch.nn.Linear(2, 2)
        model.bias = torch.nn.Parameter(torch.zeros(1).expand(2))  # memory that two elements share
        model.load_state_dict({"weight": torch.ones(2, 2), "bias": torch.ones(2)})

    check_error([], run, match="While copying the parameter named \"bias\", whose dimensions in "
                               r"the model are torch.Size\(\[2\]\)")


def test_extra_state_is_missing_or_unexpected():
    def extra(torch):
        class Extra(torch.nn.Linear):
            def get_extra_state(self):
                return {"note": 3}

            def set_extra_state(self, state):
                self.note = state

        return torch.nn.Sequential(Extra(1, 1))

    def run(torch):
        plain, model = torch.nn.Sequential(torch.nn.Linear(1, 1)), extra(torch)
        return (str(model.load_state_dict(plain.state_dict(), strict=False)),
                str(plain.load_state_dict(model.state_dict(), strict=False)),
                str(model.load_state_dict(model.state_dict())), model[0].note)

    program(run)
    check_error([], lambda torch: extra(torch).load_state_dict(
        torch.nn.Sequential(torch.nn.Linear(1, 1)).state_dict()))
    check_error([], lambda torch: torch.nn.Sequential(torch.nn.Linear(1, 1)).load_state_dict(
        extra(torch).state_dict()))


# --- hooks of the state --------------------------------------------------------------------------

def test_every_state_hook():
    def run(torch):
        events = []
        nn = torch.nn
        model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1)))

        def watch(module, name):
            def before_save(m, prefix, keep_vars):
                events.append(("before save", name, m is module, prefix, keep_vars))

            def after_save(m, state, prefix, metadata):
                events.append(("after save", name, m is module, list(state), prefix,
                               dict(metadata)))

            def before_load(m, state, prefix, metadata, strict, missing, unexpected, errors):
                events.append(("before load", name, m is module, list(state), prefix,
                               dict(metadata), strict, list(missing), list(errors)))

            def after_load(m, keys):
                events.append(("after load", name, m is module, list(keys.missing_keys),
                               list(keys.unexpected_keys)))

            return [module.register_state_dict_pre_hook(before_save),
                    module.register_state_dict_post_hook(after_save),
                    module.register_load_state_dict_pre_hook(before_load),
                    module.register_load_state_dict_post_hook(after_load)]

        handles = watch(model, "all") + watch(model[1], "one") + watch(model[1][0], "leaf")
        state = model.state_dict()
        del state["1.0.bias"]
        state["new"] = torch.ones(1)
        model.load_state_dict(state, strict=False)
        for handle in handles:
            handle.remove()
        model.state_dict()
        return events

    program(run)


def test_private_state_hooks():
    def run(torch):
        events = []
        model = torch.nn.Sequential(torch.nn.Linear(1, 1))

        def rename(module, state, prefix, metadata):
            return {"r." + key: value for key, value in state.items()}

        def undo(state, prefix, *rest):
            events.append((prefix, list(state), hasattr(state, "_metadata")))
            for key in list(state):
                state[key.removeprefix("r.")] = state.pop(key)

        model._register_state_dict_hook(rename)
        model[0]._register_state_dict_hook(rename)  # what it returns is lost below the root
        model._register_load_state_dict_pre_hook(undo)
        model[0]._register_load_state_dict_pre_hook(
            lambda m, state, *rest: events.append((type(m).__name__, list(state))),
            with_module=True)
        state = model.state_dict()
        model.load_state_dict(state)
        return list(state), events

    program(run)


def test_hooks_decide_what_is_an_error():
    def forgiving(torch):
        model = torch.nn.Linear(1, 1)
        model.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
        return str(model.load_state_dict({"weight": torch.ones(1, 1)}))

    program(forgiving)

    def strict(torch):
        model = torch.nn.Linear(1, 1)
        model.register_load_state_dict_post_hook(
            lambda m, keys: keys.missing_keys.append("invented"))
        model.load_state_dict(model.state_dict())

    check_error([], strict)


def hooked_state(torch, register, hook):
    model = torch.nn.Linear(1, 1)
    getattr(model, register)(hook)
    return model.load_state_dict(model.state_dict())


def test_wrong_state_hooks():
    check_error([], lambda torch: hooked_state(
        torch, "register_state_dict_post_hook", lambda m, state, *rest: state))
    check_error([], lambda torch: hooked_state(
        torch, "register_load_state_dict_post_hook", lambda m, keys: keys))
    check_error([], lambda torch: hooked_state(
        torch, "register_load_state_dict_pre_hook",
        lambda m, s, p, d, strict, missing, unexpected, errors: errors.append("what I say")))


def test_nothing_changes_where_names_do_not_fit_but_the_rest_is_loaded():
    """As in torch, what fits is loaded before the error is raised."""
    def run(torch):
        model = nested(torch)
        state = {name: value + 1 for name, value in model.state_dict().items()}
        state["scale"] = torch.ones(5)
        with pytest.raises(RuntimeError, match="size mismatch for scale"):
            model.load_state_dict(state)
        return model.state_dict()

    program(run)
