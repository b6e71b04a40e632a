"""The levels at which a module is compared with torch's: what test_module_db.py runs.

A level is a function of an entry of torch's module database and a `Tally`, as in
operator_levels.py: it raises AssertionError where the engines differ, and counts comparisons.
Both engines build the module from the same seed, so the parameters are equal without copying.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from parity_tests import harness
from parity_tests.compare import compare, graph_signature, normalise
from parity_tests.harness import candidate
from parity_tests.module_samples import (
    Sample,
    arguments,
    cast,
    class_of,
    error_samples_of,
    samples_of,
    strided,
)
from parity_tests.operator_levels import Side, Tally, same_error, same_gradients
from parity_tests.operator_samples import described, random_like, translated

# Samples per dtype: most entries have fewer than ten, the losses up to 857.
FEW, SOME, MANY = 3, 8, 24

# torch reads the integers of these as if they were contiguous, and what it finds makes it crash.
CRASHES = {torch.nn.CTCLoss}


# --- running both engines ------------------------------------------------------------------------

def built(info: Any, lib: Any, sample: Sample, seed: int = 0) -> Any:
    """The module in `lib`, from a seed."""
    args, kwargs = arguments(lib, sample.constructor)
    lib.manual_seed(seed)
    return class_of(info, lib)(*args, **kwargs)


def ready(info: Any, lib: Any, sample: Sample, dtype: torch.dtype, training: bool) -> Any:
    """The module, built, converted and put where the candidate is on trial."""
    module = built(info, lib, sample)
    if lib is not torch:
        module = placed(module)
    return module.to(dtype if lib is torch else translated(dtype)).train(training)


def placed(module: Any) -> Any:
    """The candidate's module, on the device on trial."""
    return module if harness.DEVICE == "cpu" else module.to("cuda")


class Run(Side):
    """One engine's run of a module: outputs, and what to differentiate by.

    The parameters come after the arguments; a lazy module has them only once it has run.
    """

    def __init__(self, lib: Any, module: Any, given: tuple[tuple, dict]) -> None:
        super().__init__(lib, module, *arguments(lib, given))
        self.module = module
        self.inputs += [each for each in module.parameters() if each.requires_grad]

    def failed(self) -> bool:
        return isinstance(self.result, Exception)

    def buffers(self) -> dict:
        return dict(self.module.named_buffers())


def both(info: Any, sample: Sample, dtype: torch.dtype, training: bool) -> tuple[Run, Run]:
    """The sample, built and run by minigrad and by torch."""
    ours, theirs = (Run(lib, ready(info, lib, sample, dtype, training), sample.forward)
                    for lib in (candidate(), torch))
    return ours, theirs


@contextlib.contextmanager
def noting(info: Any, sample: Sample, dtype: torch.dtype) -> Iterator[None]:
    """Failures inside the block tell which sample it was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"{info.name}{_listed(sample.constructor)}{_listed(sample.forward)}, "
                       f"{dtype}")
        raise


def _listed(given: tuple[tuple, dict]) -> str:
    args, kwargs = given
    named = [f"{name}={described(value)}" for name, value in kwargs.items()]
    return f"({', '.join([*map(described, args), *named])})"


def each_run(info: Any, dtypes: Any, limit: int, training: bool, tally: Tally, grad: bool = False,
             change: Callable = lambda given: given) -> Iterator[tuple[Run, Run]]:
    """Both engines' runs of the samples of each dtype; failures must be the same failures."""
    for dtype in dtypes:
        made_in = dtype if dtype in info.dtypes else torch.float32
        for sample in samples_of(info, made_in, grad, training, limit):
            forward = change(cast(sample.forward, dtype) if made_in is not dtype else
                             sample.forward)
            sample = Sample(cast(sample.constructor, dtype), forward)
            with noting(info, sample, dtype):
                ours, theirs = both(info, sample, dtype, training)
                if ours.failed() or theirs.failed():
                    same_error(ours.result, theirs.result)
                    tally.comparisons += 1
                else:
                    yield ours, theirs


def each_built(info: Any, limit: int) -> Iterator[tuple[Sample, Any, Any]]:
    """Samples, and the module as both engines build it."""
    for sample in samples_of(info, torch.float32, False, True, limit):
        with noting(info, sample, torch.float32):
            yield sample, *(built(info, lib, sample) for lib in (candidate(), torch))


def same_tensors(got: Any, want: Any, where: str) -> None:
    """Equal parameters or buffers, by name and in order; those of a lazy module are not there."""
    assert list(got) == list(want), f"{where}: candidate {list(got)}, torch {list(want)}"
    for name, tensor in want.items():
        assert type(got[name]).__name__ == type(tensor).__name__, f"{where} {name}: type"
        if not is_shapeless(tensor):
            compare(got[name], tensor, f"{where} {name}")


# --- the levels ----------------------------------------------------------------------------------

def construct(info: Any, tally: Tally) -> None:
    """Parameters and buffers from the same seed, as many random numbers drawn."""
    for _, mine, theirs in each_built(info, MANY):
        same_tensors(dict(mine.named_parameters()), dict(theirs.named_parameters()), "parameter")
        same_tensors(dict(mine.named_buffers()), dict(theirs.named_buffers()), "buffer")
        compare([name for name, _ in mine.named_modules()],
                [name for name, _ in theirs.named_modules()], "submodules")
        compare(mine.training, theirs.training, "training")
        compare(candidate().randint(0, 1 << 30, (3,)), torch.randint(0, 1 << 30, (3,)),
                "the random numbers after it")
        tally.comparisons += 1


def representation(info: Any, tally: Tally) -> None:
    """What `repr` shows."""
    for _, mine, theirs in each_built(info, MANY):
        assert repr(mine) == repr(theirs), f"candidate {mine!r}, torch {theirs!r}"
        tally.comparisons += 1


def state(info: Any, tally: Tally) -> None:
    """`state_dict`: names, values, versions; what torch saved, loaded into another module."""
    for sample, mine, theirs in each_built(info, FEW):
        saved, reference = mine.state_dict(), theirs.state_dict()
        same_tensors(saved, reference, "saved")
        assert saved._metadata == reference._metadata, "versions"
        other = built(info, candidate(), sample, seed=1)
        lazy = any(map(is_shapeless, saved.values()))
        keys = other.load_state_dict(saved if lazy else translated(dict(reference)))
        assert str(keys) == "<All keys matched successfully>"
        same_tensors(other.state_dict(), reference, "loaded")
        tally.comparisons += 1


def _forward(info: Any, tally: Tally, training: bool) -> None:
    for dtype, limit in ((torch.float64, MANY), (torch.float32, SOME)):
        for ours, theirs in each_run(info, [dtype], limit, training, tally, grad=True):
            compare(ours.result, theirs.result)
            same_tensors(ours.buffers(), theirs.buffers(), "buffer after forward")
            if harness.DEVICE == "cpu":  # the random stream is where torch's is
                compare(candidate().randint(0, 1 << 30, (3,)), torch.randint(0, 1 << 30, (3,)),
                        "the random numbers after forward")
            tally.comparisons += 1


def train(info: Any, tally: Tally) -> None:
    """`forward` in training: results, buffers, the random stream; what is refused."""
    _forward(info, tally, training=True)


def evaluate(info: Any, tally: Tally) -> None:
    """The same in evaluation."""
    _forward(info, tally, training=False)


def _gradients(info: Any, tally: Tally, twice: bool) -> None:
    for training in ((True, False) if info.train_and_eval_differ else (True,)):
        for ours, theirs in each_run(info, [torch.float64], SOME, training, tally, grad=True):
            try:
                tally.comparisons += same_gradients(None, ours, theirs, twice)
            except RuntimeError as refusal:  # torch has no second derivative of some losses
                same_error(_refusal(ours, theirs), refusal)
                tally.comparisons += 1


def _refusal(ours: Run, theirs: Run) -> Exception | None:
    """What the candidate says to the second derivative."""
    try:
        gradients = ours.gradients(translated(random_like(theirs.outputs, True)), True)
        chosen = [i for i, each in enumerate(gradients) if each is not None and each.requires_grad]
        ours.second_gradients(chosen, [candidate().ones_like(gradients[i]) for i in chosen])
    except Exception as error:
        return error
    return None


def gradient(info: Any, tally: Tally) -> None:
    """The gradient of every input and every parameter."""
    _gradients(info, tally, twice=False)


def second_gradient(info: Any, tally: Tally) -> None:
    """The gradients' own gradients."""
    _gradients(info, tally, twice=True)


def graph(info: Any, tally: Tally) -> None:
    """The recorded graph: each node's name and its edges."""
    for ours, theirs in each_run(info, [torch.float64], SOME, True, tally, grad=True):
        assert len(ours.outputs) == len(theirs.outputs), "other outputs require gradients"
        for mine, reference in zip(ours.outputs, theirs.outputs, strict=True):
            got = graph_signature(mine, ours.inputs)
            want = graph_signature(reference, theirs.inputs)
            assert got == want, f"candidate\n  {got}\ntorch\n  {want}"
        tally.comparisons += 1


def layouts(info: Any, tally: Tally) -> None:
    """Inputs that are not contiguous, and their gradients."""
    change = functools.partial(strided, integers=info.module_cls not in CRASHES)
    for ours, theirs in each_run(info, [torch.float64], FEW, True, tally, grad=True,
                                 change=change):
        compare(ours.result, theirs.result)
        same_gradients(None, ours, theirs, twice=False)
        tally.comparisons += 1


def other_dtypes(info: Any, tally: Tally) -> None:
    """The module in bfloat16 and float16, and in complex numbers where torch tests that."""
    complexes = [dtype for dtype in info.dtypes if dtype in (torch.complex64, torch.complex128)]
    for dtype in (torch.bfloat16, torch.float16, *complexes):
        for ours, theirs in each_run(info, [dtype], FEW, True, tally):
            compare(ours.result, theirs.result)
            tally.comparisons += 1


def errors(info: Any, tally: Tally) -> None:
    """What torch refuses is refused: the same class, and words that fit torch's own test."""
    for case in error_samples_of(info):
        with noting(info, case.sample, torch.float64):
            got, want = (_failure(info, lib, case.sample) for lib in (candidate(), torch))
            if want is None:  # accepted by this version of torch
                assert got is None, f"candidate {got!r}, torch accepts it"
            else:
                assert got is not None, f"no error; torch {want!r}"
                builtin = next(c for c in type(want).__mro__ if c.__module__ == "builtins")
                assert isinstance(got, builtin), f"candidate {got!r}, torch {want!r}"
                assert normalise(str(got)) == normalise(str(want)) \
                    or re.search(case.pattern, str(got)), f"candidate {got!r}, torch {want!r}"
        tally.comparisons += 1


def _failure(info: Any, lib: Any, sample: Sample) -> Exception | None:
    try:
        run = Run(lib, ready(info, lib, sample, torch.float64, True), sample.forward)
    except Exception as error:
        return error
    return run.result if run.failed() else None


def copies(info: Any, tally: Tally) -> None:
    """`deepcopy` and `pickle`: copies with the same state and results, and memory of their own."""
    for sample in samples_of(info, torch.float32, False, True, FEW):
        for duplicate in (copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
            with noting(info, sample, torch.float32):
                original, reference = (ready(info, lib, sample, torch.float32, True)
                                       for lib in (candidate(), torch))
                module = duplicate(original)
                assert repr(module) == repr(original)
                _same_state(module, original)
                run = Run(candidate(), placed(module), sample.forward)
                wanted = Run(torch, duplicate(reference), sample.forward)
                if run.failed() or wanted.failed():
                    same_error(run.result, wanted.result)
                else:
                    compare(run.result, wanted.result, flags=False)
            tally.comparisons += 1


def _same_state(module: Any, original: Any) -> None:
    """Parameters and buffers are equal, and not the same memory."""
    for name in ("named_parameters", "named_buffers"):
        same_tensors(dict(getattr(module, name)()), dict(getattr(original, name)()), "copied")
    addresses = [{each.data_ptr() for each in lib.state_dict().values()
                  if not is_shapeless(each) and each.numel()} for lib in (module, original)]
    assert not addresses[0] & addresses[1], "the copy shares memory"


def is_shapeless(tensor: Any) -> bool:
    return type(tensor).__name__.startswith("Uninitialized")


class Level(NamedTuple):
    compare: Callable[[Any, Tally], None]
    applies: Callable[[Any], bool]


def _always(info: Any) -> bool:
    return True


LEVELS = {
    "construct": Level(construct, _always),
    "repr": Level(representation, _always),
    "state": Level(state, _always),
    "train": Level(train, _always),
    "eval": Level(evaluate, _always),
    "gradient": Level(gradient, _always),
    "second": Level(second_gradient, lambda info: info.supports_gradgrad),
    "graph": Level(graph, _always),
    "layouts": Level(layouts, _always),
    "dtypes": Level(other_dtypes, _always),
    "errors": Level(errors, lambda info: info.module_error_inputs_func is not None),
    "copies": Level(copies, _always),
}
