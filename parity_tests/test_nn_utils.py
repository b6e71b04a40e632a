"""nn.utils: the older norms, fusion with batch norm, functional_call, skip_init, clipping."""

from __future__ import annotations

import warnings

import pytest
import torch as reference

from parity_tests.harness import candidate, check_error, program
from parity_tests.test_modules import weighted_sum


def warned(run, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run(*arguments)
    return result, [(str(warning.message), warning.category.__name__) for warning in caught]


# --- the older norms -----------------------------------------------------------------------------

@pytest.mark.parametrize("dim", [0, 1, None], ids=str)
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_old_weight_norm(name, dim):
    def run(torch, device):
        if name == "bias" and dim == 1:
            return "a vector has no second dim"
        module = torch.nn.Linear(4, 3, dtype=torch.float64).to(device)
        same, words = warned(torch.nn.utils.weight_norm, module, name, dim)
        x, found = torch.ones(2, 4, dtype=torch.float64, device=device), []
        for _ in range(2):
            module.zero_grad()
            loss = weighted_sum(torch, module(x) ** 2)
            loss.backward()
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.sub_(parameter.grad * 0.125)
            found.append((loss, [p.detach().clone() for p in module.parameters()]))
        module(x)
        names = list(module.state_dict()), name in vars(module), repr(module)
        torch.nn.utils.remove_weight_norm(module, name)
        return (same is module, words, found, names, list(module.state_dict()),
                list(module.parameters()), module(x))

    program(run)


@pytest.mark.parametrize("options", [{}, {"n_power_iterations": 3}, {"dim": 1}, {"eps": 0.1}],
                         ids=str)
def test_old_spectral_norm(options):
    def run(torch, device):
        module = torch.nn.Linear(4, 3, dtype=torch.float64)
        weight = module.weight
        same = torch.nn.utils.spectral_norm(module, **options) is module
        module.to(device)
        x, found = torch.ones(2, 4, dtype=torch.float64, device=device), []
        for training in (True, True, False):
            module.train(training)
            module.zero_grad()
            loss = weighted_sum(torch, (module(x) - module(x * 2)) ** 2)
            loss.backward()
            found.append((loss, [p.grad for p in module.parameters()],
                          [buffer.clone() for buffer in module.buffers()]))
        state = module.state_dict()
        names = list(state), state._metadata, module.weight_orig is weight, repr(module)
        torch.nn.utils.remove_spectral_norm(module)
        return (same, found, names, list(module.state_dict()), list(module.parameters()),
                module(x), module.state_dict()._metadata, torch.rand(1))

    program(run, rtol=1e-9)


def test_old_spectral_norm_loads_older_states():
    def run(torch):
        torch.manual_seed(1)
        module = torch.nn.utils.spectral_norm(torch.nn.Linear(4, 3, dtype=torch.float64))
        x, found = torch.ones(2, 4, dtype=torch.float64), []
        module(x)
        module(x)
        state = module.state_dict()
        plain = dict(state)
        old = {**plain, "weight": module.weight.detach()}
        del old["weight_v"]
        for each in (state, plain, old):
            other = torch.nn.utils.spectral_norm(torch.nn.Linear(4, 3, dtype=torch.float64))
            other.load_state_dict(each)
            other.eval()
            found.append((other(x), other.weight_v))
        try:
            other.load_state_dict({"bias": torch.zeros(3)})
        except RuntimeError as error:
            found.append(str(error))
        return found

    program(run, rtol=1e-7)


def twice(torch, name):
    module = torch.nn.Linear(2, 2)
    for _ in range(2):
        warned(getattr(torch.nn.utils, name), module)


OLD_ERRORS = {
    "weight_twice": lambda torch, u: twice(torch, "weight_norm"),
    "spectral_twice": lambda torch, u: twice(torch, "spectral_norm"),
    "no_weight": lambda torch, u: u.remove_weight_norm(torch.nn.Linear(2, 2)),
    "no_spectral": lambda torch, u: u.remove_spectral_norm(torch.nn.Linear(2, 2), "bias"),
    "iterations": lambda torch, u: u.spectral_norm(torch.nn.Linear(2, 2), n_power_iterations=0),
    "none": lambda torch, u: u.spectral_norm(torch.nn.Linear(2, 2, bias=False), "bias"),
    "absent": lambda torch, u: u.spectral_norm(torch.nn.Linear(2, 2), "absent"),
}


@pytest.mark.parametrize("name", OLD_ERRORS)
def test_old_norms_refuse(name):
    check_error([], lambda torch: OLD_ERRORS[name](torch, torch.nn.utils))


# --- fusion --------------------------------------------------------------------------------------

def trained_norm(torch, kind, features, device="cpu", **options):
    """A batch norm that has seen something."""
    norm = kind(features, **options)
    shape = {"BatchNorm1d": (6, features), "BatchNorm2d": (4, features, 3, 3)}[kind.__name__]
    norm(torch.randn(shape) * 2 + 1)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(0.25)
    return norm.to(device).eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("features", [3, 1])
def test_fused_linear(bias, features):
    def run(torch, device):
        linear = torch.nn.Linear(4, 3, bias=bias).to(device).eval()
        norm = trained_norm(torch, torch.nn.BatchNorm1d, features, device)
        linear.weight.requires_grad_(False)
        fused = torch.nn.utils.fuse_linear_bn_eval(linear, norm)
        x = torch.arange(8.0, device=device).view(2, 4)
        want = norm(linear(x)) if features == 3 else norm(linear(x).view(6, 1)).view(2, 3)
        assert ((fused(x) - want).abs() < 1e-5).all()
        return fused(x), list(fused.named_parameters()), fused is linear, list(linear.parameters())

    program(run)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_fused_convolution_weights(transpose, bias, affine):
    def run(torch, device):
        weight = torch.nn.Parameter(torch.randn((2, 3, 2, 2) if transpose else (3, 2, 2, 2)))
        weight = torch.nn.Parameter(weight.to(device))
        own = torch.nn.Parameter(torch.ones(3, device=device), False) if bias else None
        norm = trained_norm(torch, torch.nn.BatchNorm2d, 3, device, affine=affine)
        fused = torch.nn.utils.fuse_conv_bn_weights(
            weight, own, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias,
            transpose)
        x = torch.arange(50.0, device=device).view(1, 2, 5, 5) / 10
        conv = torch.nn.functional.conv_transpose2d if transpose else torch.nn.functional.conv2d
        want = norm(conv(x, weight, own))
        assert ((conv(x, *fused) - want).abs() < 1e-4).all()
        return fused, [type(each).__name__ for each in fused], conv(x, *fused)

    program(run)


FUSION_ERRORS = {
    "training": lambda torch, u: u.fuse_linear_bn_eval(torch.nn.Linear(2, 2),
                                                       torch.nn.BatchNorm1d(2).eval()),
    "training_norm": lambda torch, u: u.fuse_linear_bn_eval(torch.nn.Linear(2, 2).eval(),
                                                            torch.nn.BatchNorm1d(2)),
    "features": lambda torch, u: u.fuse_linear_bn_eval(torch.nn.Linear(2, 2).eval(),
                                                       torch.nn.BatchNorm1d(3).eval()),
    "no_statistics": lambda torch, u: u.fuse_linear_bn_eval(
        torch.nn.Linear(2, 2).eval(),
        torch.nn.BatchNorm1d(2, track_running_stats=False).eval()),
    "training_conv": lambda torch, u: u.fuse_conv_bn_eval(torch.nn.Linear(2, 2),
                                                          torch.nn.BatchNorm2d(2).eval()),
}


@pytest.mark.parametrize("name", FUSION_ERRORS)
def test_fusion_refuses(name):
    check_error([], lambda torch: FUSION_ERRORS[name](torch, torch.nn.utils))


# --- functional_call -----------------------------------------------------------------------------

def tied(torch):
    nn = torch.nn

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(2, 2)
            self.second = nn.Linear(2, 2)
            self.second.weight = self.first.weight
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x, scale=1.0):
            self.count.add_(1)
            self.count = self.count * 2
            return self.second(self.first(x)) * scale + self.count

    return Tied()


def call(torch, module, *arguments, **options):
    return warned(lambda: torch.nn.utils.stateless.functional_call(module, *arguments, **options))


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("names", [["first.weight"], ["second.weight", "second.bias"], ["count"],
                                   ["first.weight", "second.weight", "first.bias"], []],
                         ids=",".join)
def test_functional_call(names, tie):
    def run(torch, device):
        module = tied(torch).to(device)
        own = dict(module.named_parameters(remove_duplicate=False))
        shared = torch.full((2, 2), 0.5, device=device, requires_grad=True)
        given = {name: shared if name.endswith("weight") else torch.full(
            (1,) if name == "count" else (2,), 2.0, device=device,
            requires_grad=name != "count") for name in names}
        before = dict(given)
        x = torch.ones(1, 2, device=device)
        result, words = call(torch, module, given, x, {"scale": 3.0}, tie_weights=tie)
        gradients = torch.autograd.grad(result.sum(), [
            tensor for tensor in dict.fromkeys(before.values()) if tensor.requires_grad
        ] or list(module.parameters()), allow_unused=True)
        return (result, words, gradients, given, [given[name] is before[name] for name in given],
                module.count, all(own[name] is parameter for name, parameter
                                  in module.named_parameters(remove_duplicate=False)))

    program(run)


def test_functional_call_with_other_arguments():
    def run(torch):
        module = torch.nn.Bilinear(2, 2, 1)
        x = torch.ones(1, 2)
        whole = {name: parameter * 2 for name, parameter in module.named_parameters()}
        found = [call(torch, module, whole, (x, x))[0],
                 call(torch, module, whole, None, {"input1": x, "input2": x}, strict=True)[0]]
        module.extra = torch.ones(1)
        call(torch, module, {"extra": torch.zeros(1), "new": torch.ones(2)}, (x, x))
        return found, module.extra, hasattr(module, "new"), list(module.parameters())

    program(run)


class Failing(Exception):
    pass


def test_functional_call_that_fails():
    def run(torch):
        module = torch.nn.Linear(2, 2)
        weight = module.weight

        def fail(*rest):
            raise Failing

        module.register_forward_hook(fail)
        with pytest.raises(Failing):
            call(torch, module, {"weight": torch.ones(2, 2)}, torch.ones(1, 2))
        return module.weight is weight

    program(run)


CALL_ERRORS = {
    "different": lambda torch, m: call(torch, m, {
        "first.weight": torch.ones(2, 2), "second.weight": torch.zeros(2, 2)}, torch.ones(1, 2)),
    "unexpected": lambda torch, m: call(torch, m, {"b": torch.ones(1), "a": torch.ones(1)},
                                        torch.ones(1, 2), strict=True),
    "missing": lambda torch, m: call(torch, m, {"first.weight": torch.ones(2, 2)},
                                     torch.ones(1, 2), strict=True),
    "no_module": lambda torch, m: call(torch, m, {"absent.weight": torch.ones(2, 2)},
                                       torch.ones(1, 2)),
    "number": lambda torch, m: call(torch, m, {"first.weight": 3}, torch.ones(1, 2)),
    "method": lambda torch, m: call(torch, m, {"training": torch.ones(1)}, torch.ones(1, 2)),
    "empty": lambda torch, m: call(torch, m, {"first.": torch.ones(1)}, torch.ones(1, 2)),
}


@pytest.mark.parametrize("name", CALL_ERRORS)
def test_functional_call_refuses(name):
    check_error([], lambda torch: CALL_ERRORS[name](torch, tied(torch)))


# --- skip_init, memory formats -------------------------------------------------------------------

def test_skip_init():
    def run(torch):
        before = torch.get_rng_state()
        layer = torch.nn.utils.skip_init(torch.nn.Linear, 3, 2, bias=False, dtype=torch.float64)
        other = torch.nn.utils.skip_init(torch.nn.LayerNorm, 3, device="cpu")
        return ((torch.get_rng_state() == before).all(), repr(layer), layer.weight.shape,
                layer.weight.dtype, layer.weight.requires_grad, type(layer.weight).__name__,
                repr(other), torch.rand(1))

    program(run)
    check_error([], lambda torch: torch.nn.utils.skip_init(int), match="Expected a Module; got")
    check_error([], lambda torch: torch.nn.utils.skip_init(torch.nn.ReLU))


def images(torch, name, weight):
    """A module named like a convolution, with its weight."""
    kind = type(name, (torch.nn.Module,), {})
    module = kind()
    module.weight = torch.nn.Parameter(weight)
    return module


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
def test_memory_formats(kind, dims):
    lib, torch = candidate(), reference
    shape = (4, 3, 5, 2, 6)[:dims + 2]
    formats = ["channels_last" if dims == 2 else "channels_last_3d", "contiguous_format"]
    real = getattr(torch.nn, f"{kind}{dims}d")(1, 1, 1)
    real.weight = torch.nn.Parameter(torch.ones(shape))
    ours = lib.nn.Sequential(images(lib, f"{kind}{dims}d", lib.ones(shape)), lib.nn.ReLU())
    for each in formats:
        for place, module in ((lib, ours), (torch, torch.nn.Sequential(real))):
            convert = getattr(place.nn.utils, f"convert_conv{dims}d_weight_memory_format")
            assert convert(module, getattr(place, each)) is module
        assert ours[0].weight.stride() == real.weight.stride()
        assert type(ours[0].weight).__name__ == "Parameter" and (ours[0].weight == 1).all()


# --- clipping, vectors ---------------------------------------------------------------------------

def test_clipping_under_other_names():
    def run(torch, device):
        found = []
        for number, clip in enumerate((
                lambda u, ps: u.clip_grad_norm(ps, 0.5),
                lambda u, ps: u.clip_grad_norm_(iter(ps), "0.5", "inf"),
                lambda u, ps: u.clip_grad_norm_((p for p in ps), 0.5, foreach=False),
                lambda u, ps: u.clip_grad_norm_((p for p in ()), 0.5),
                lambda u, ps: u.clip_grads_with_norm_(ps, 0.5, u.get_total_norm(
                    [p.grad for p in ps[:2]], 1.0)),
                lambda u, ps: u.clip_grads_with_norm_(ps[0], 0.5, torch.tensor(
                    2.0, device=device)),
                lambda u, ps: u.get_total_norm(ps[0].grad), lambda u, ps: u.get_total_norm([]),
                lambda u, ps: u.clip_grad_value_(ps[0], "0.25", foreach=True))):
            parameters = [torch.nn.Parameter(torch.ones(2, device=device)),
                          torch.nn.Parameter(torch.ones(3, device=device)),
                          torch.nn.Parameter(torch.ones(1, device=device))]
            parameters[0].grad = torch.tensor([3.0, -4.0], device=device)
            parameters[1].grad = torch.tensor([1.0, 2.0, number], device=device)
            result, words = warned(clip, torch.nn.utils, parameters)
            found.append((result, words, [p.grad for p in parameters]))
        return found

    program(run)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_totals_that_are_not_finite(value):
    def clip(torch, raises):
        x = torch.nn.Parameter(torch.ones(2))
        x.grad = torch.tensor([1.0, value])
        return torch.nn.utils.clip_grad_norm_(x, 1.0, error_if_nonfinite=raises), x.grad

    program(lambda torch: clip(torch, False))
    check_error([], lambda torch: clip(torch, True))


def test_vectors():
    def run(torch, device):
        model = torch.nn.Linear(3, 2).to(device)
        utils = torch.nn.utils
        vector = utils.parameters_to_vector(p for p in model.parameters())
        vector.sum().backward()
        utils.vector_to_parameters(torch.arange(8.0, device=device), model.parameters())
        return vector, list(model.parameters()), model.weight.grad

    program(run)
    check_error([], lambda torch: torch.nn.utils.parameters_to_vector(
        [torch.ones(2, 3).t()]), match="view size is not compatible")
    check_error([], lambda torch: torch.nn.utils.vector_to_parameters(
        torch.ones(3), [torch.ones(2, 2)]), match="shape '?\\[2, 2\\]'? is invalid for input")


# --- convolutions --------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d"])
def test_fused_convolution(kind):
    def run(torch, device):
        nn, dims = torch.nn, int(kind[-2])
        conv = getattr(nn, kind)(2, 3, 2).to(device)
        norm = getattr(nn, f"BatchNorm{dims}d")(3).to(device)
        x = torch.arange(2.0 * 4 ** dims, device=device).view(1, 2, *[4] * dims) / 30
        norm(conv(x))
        conv.eval(), norm.eval()
        fused = torch.nn.utils.fuse_conv_bn_eval(conv, norm, "Transpose" in kind)
        assert ((fused(x) - norm(conv(x))).abs() < 1e-4).all()
        return fused(x), repr(fused), list(fused.named_parameters())

    program(run)


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d", "Conv1d"])
def test_norms_of_convolutions(kind):
    """Transposed convolutions have their outputs second: spectral norm knows."""
    def run(torch, device):
        nn, dims, found = torch.nn, int(kind[-2]), []
        for norm in (nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm,
                     nn.utils.parametrizations.weight_norm, nn.utils.weight_norm):
            conv, words = warned(norm, getattr(nn, kind)(2, 3, 2))
            conv.to(device)
            x = torch.arange(2.0 * 4 ** dims, device=device).view(1, 2, *[4] * dims) / 30
            loss = weighted_sum(torch, conv(x))
            loss.backward()
            found.append((loss, words, list(conv.state_dict().items()),
                          [p.grad for p in conv.parameters()]))
        return found

    program(run)
