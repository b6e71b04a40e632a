"""The layers of torch.nn: initial weights, results, gradients, repr, saved state, errors."""

from __future__ import annotations

import numpy as np
import pytest

from parity_tests.harness import check_error, program

IDS = np.array([[0, 3, 1], [4, 0, 2]])
CLASSES = np.array([0, 2, 1, 4])
POSITIVE = np.abs(np.random.default_rng(1).standard_normal((4, 5))) % 1
PROBABILITIES = np.random.default_rng(2).uniform(0.05, 0.95, (4, 5))
SIGNS = np.array([1.0, -1.0, 1.0, -1.0])

# name: (layer, its inputs); a shape stands for random numbers
LAYERS = {
    "linear": (lambda nn: nn.Linear(4, 3), [(5, 4)]),
    "linear_batched": (lambda nn: nn.Linear(4, 3), [(2, 5, 4)]),
    "linear_vector": (lambda nn: nn.Linear(4, 3), [(4,)]),
    "linear_no_bias": (lambda nn: nn.Linear(4, 3, bias=False), [(5, 4)]),
    "linear_wide": (lambda nn: nn.Linear(40, 30), [(5, 40)]),
    "bilinear": (lambda nn: nn.Bilinear(3, 4, 2), [(5, 3), (5, 4)]),
    "bilinear_no_bias": (lambda nn: nn.Bilinear(3, 4, 2, bias=False), [(2, 5, 3), (2, 5, 4)]),
    "identity": (lambda nn: nn.Identity(3, unused=4), [(2, 3)]),
    "embedding": (lambda nn: nn.Embedding(5, 3), [IDS]),
    "embedding_padding": (lambda nn: nn.Embedding(5, 3, padding_idx=0), [IDS]),
    "embedding_max_norm": (lambda nn: nn.Embedding(5, 3, max_norm=1.0), [IDS]),
    "embedding_frequency": (lambda nn: nn.Embedding(5, 3, scale_grad_by_freq=True), [IDS]),
    "flatten": (lambda nn: nn.Flatten(), [(2, 3, 4)]),
    "flatten_dims": (lambda nn: nn.Flatten(0, 1), [(2, 3, 4)]),
    "unflatten": (lambda nn: nn.Unflatten(1, (2, 3)), [(4, 6)]),
    "dropout": (lambda nn: nn.Dropout(0.3), [(7, 9)]),
    "dropout_default": (lambda nn: nn.Dropout(), [(70, 9)]),
    "dropout_in_place": (lambda nn: nn.Sequential(negate(nn), nn.Dropout(0.3, inplace=True)),
                         [(7, 9)]),
    "dropout1d": (lambda nn: nn.Dropout1d(0.4), [(4, 6, 3)]),
    "dropout2d": (lambda nn: nn.Dropout2d(0.4), [(4, 6, 3, 2)]),
    "dropout3d": (lambda nn: nn.Dropout3d(0.4), [(4, 6, 3, 2, 2)]),
    "alpha_dropout": (lambda nn: nn.AlphaDropout(0.4), [(7, 9)]),
    "feature_alpha_dropout": (lambda nn: nn.FeatureAlphaDropout(0.4), [(4, 6, 3)]),
    "batch_norm_1d": (lambda nn: nn.BatchNorm1d(4), [(6, 4)]),
    "batch_norm_1d_long": (lambda nn: nn.BatchNorm1d(4, eps=1e-3, momentum=0.3), [(6, 4, 5)]),
    "batch_norm_average": (lambda nn: nn.BatchNorm1d(4, momentum=None), [(6, 4)]),
    "batch_norm_plain": (lambda nn: nn.BatchNorm1d(4, affine=False), [(6, 4)]),
    "batch_norm_forgetful": (lambda nn: nn.BatchNorm1d(4, track_running_stats=False), [(6, 4)]),
    "batch_norm_2d": (lambda nn: nn.BatchNorm2d(3), [(2, 3, 4, 5)]),
    "batch_norm_3d": (lambda nn: nn.BatchNorm3d(3), [(2, 3, 2, 4, 5)]),
    "instance_norm_1d": (lambda nn: nn.InstanceNorm1d(3), [(2, 3, 5)]),
    "instance_norm_2d": (lambda nn: nn.InstanceNorm2d(3, affine=True), [(2, 3, 4, 5)]),
    "instance_norm_3d": (lambda nn: nn.InstanceNorm3d(3, track_running_stats=True),
                         [(2, 3, 2, 4, 5)]),
    "layer_norm": (lambda nn: nn.LayerNorm(5), [(3, 4, 5)]),
    "layer_norm_2d": (lambda nn: nn.LayerNorm((4, 5), eps=1e-3), [(3, 4, 5)]),
    "layer_norm_no_bias": (lambda nn: nn.LayerNorm(5, bias=False), [(3, 4, 5)]),
    "layer_norm_plain": (lambda nn: nn.LayerNorm(5, elementwise_affine=False), [(3, 4, 5)]),
    "group_norm": (lambda nn: nn.GroupNorm(2, 4), [(3, 4, 5)]),
    "group_norm_plain": (lambda nn: nn.GroupNorm(2, 4, affine=False), [(3, 4, 5)]),
    "rms_norm": (lambda nn: nn.RMSNorm(5), [(3, 4, 5)]),
    "rms_norm_eps": (lambda nn: nn.RMSNorm((4, 5), eps=1e-3), [(3, 4, 5)]),
    "prelu": (lambda nn: nn.PReLU(), [(3, 4)]),
    "prelu_channels": (lambda nn: nn.PReLU(4, init=0.1), [(3, 4, 2)]),
    "threshold": (lambda nn: nn.Threshold(0.1, 20), [(3, 4)]),
    "softmax": (lambda nn: nn.Softmax(dim=1), [(3, 4)]),
    "softmin": (lambda nn: nn.Softmin(dim=0), [(3, 4)]),
    "log_softmax": (lambda nn: nn.LogSoftmax(dim=-1), [(3, 4)]),
    "softmax_2d": (lambda nn: nn.Softmax2d(), [(2, 3, 4, 5)]),
    "elu": (lambda nn: nn.ELU(0.7), [(3, 4)]),
    "celu": (lambda nn: nn.CELU(0.75), [(3, 4)]),
    "gelu_tanh": (lambda nn: nn.GELU("tanh"), [(3, 4)]),
    "glu": (lambda nn: nn.GLU(1), [(3, 4)]),
    "leaky_relu": (lambda nn: nn.LeakyReLU(0.2), [(3, 4)]),
    "hardtanh": (lambda nn: nn.Hardtanh(-0.5, 0.7), [(3, 4)]),
    "hardshrink": (lambda nn: nn.Hardshrink(0.3), [(3, 4)]),
    "softshrink": (lambda nn: nn.Softshrink(0.3), [(3, 4)]),
    "softplus": (lambda nn: nn.Softplus(2, 0.5), [(3, 4)]),
    "rrelu": (lambda nn: nn.RReLU(0.1, 0.4), [(3, 4)]),
    "cosine_similarity": (lambda nn: nn.CosineSimilarity(dim=1), [(3, 4), (3, 4)]),
    "pairwise_distance": (lambda nn: nn.PairwiseDistance(p=2.0), [(3, 4), (3, 4)]),
    "l1": (lambda nn: nn.L1Loss(), [(3, 4), (3, 4)]),
    "mse_sum": (lambda nn: nn.MSELoss(reduction="sum"), [(3, 4), (3, 4)]),
    "mse_none": (lambda nn: nn.MSELoss(reduction="none"), [(3, 4), (3, 4)]),
    "smooth_l1": (lambda nn: nn.SmoothL1Loss(beta=0.5), [(3, 4), (3, 4)]),
    "huber": (lambda nn: nn.HuberLoss(delta=0.5), [(3, 4), (3, 4)]),
    "cross_entropy": (lambda nn: nn.CrossEntropyLoss(), [(4, 5), CLASSES]),
    "cross_entropy_smooth": (lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=2),
                             [(4, 5), CLASSES]),
    "cross_entropy_soft": (lambda nn: nn.CrossEntropyLoss(), [(4, 5), PROBABILITIES]),
    "nll": (lambda nn: nn.NLLLoss(), [(4, 5), CLASSES]),
    "nll_none": (lambda nn: nn.NLLLoss(reduction="none", ignore_index=2), [(4, 5), CLASSES]),
    "bce": (lambda nn: nn.BCELoss(), [PROBABILITIES, POSITIVE]),
    "bce_logits": (lambda nn: nn.BCEWithLogitsLoss(), [(4, 5), POSITIVE]),
    "kl_div": (lambda nn: nn.KLDivLoss(reduction="batchmean"), [(4, 5), PROBABILITIES]),
    "kl_div_log": (lambda nn: nn.KLDivLoss(reduction="sum", log_target=True), [(4, 5), (4, 5)]),
    "poisson_nll": (lambda nn: nn.PoissonNLLLoss(full=True), [(4, 5), POSITIVE]),
    "gaussian_nll": (lambda nn: nn.GaussianNLLLoss(), [(4, 5), (4, 5), PROBABILITIES]),
    "hinge_embedding": (lambda nn: nn.HingeEmbeddingLoss(0.5), [(4,), SIGNS]),
    "soft_margin": (lambda nn: nn.SoftMarginLoss(), [(4,), SIGNS]),
    "margin_ranking": (lambda nn: nn.MarginRankingLoss(0.5), [(4,), (4,), SIGNS]),
    "cosine_embedding": (lambda nn: nn.CosineEmbeddingLoss(0.1), [(4, 5), (4, 5), SIGNS]),
    "triplet_margin": (lambda nn: nn.TripletMarginLoss(0.5), [(4, 5), (4, 5), (4, 5)]),
    **{name: (lambda nn, name=name: getattr(nn, name)(), [(3, 4)]) for name in (
        "ReLU", "ReLU6", "Sigmoid", "Tanh", "GELU", "SiLU", "Mish", "Softplus", "Softsign",
        "Tanhshrink", "LogSigmoid", "Hardsigmoid", "Hardswish", "Hardtanh", "Hardshrink",
        "Softshrink", "ELU", "CELU", "SELU", "LeakyReLU")},
    **{name + "_in_place": (
        lambda nn, name=name: nn.Sequential(nn.Identity(), negate(nn), getattr(nn, name)(
            inplace=True)), [(3, 4)])
       for name in ("ReLU", "ReLU6", "ELU", "CELU", "SELU", "LeakyReLU", "SiLU", "Mish",
                    "Hardtanh", "Hardswish", "Hardsigmoid")},
}


def negate(nn):
    """A layer whose result may be written over: its derivative needs no values."""
    class Negate(nn.Module):
        def forward(self, x):
            return -x

    return Negate()


def numbers(torch, spec, device, dtype, seed):
    """A tensor that requires grad from a shape or a floating array; an integer array as it is."""
    if isinstance(spec, np.ndarray) and spec.dtype.kind == "i":
        return torch.tensor(spec).to(device)
    values = np.random.default_rng(seed).standard_normal(spec) if isinstance(spec, tuple) else spec
    tensor = torch.tensor(values).to(dtype=getattr(torch, dtype)).to(device)
    return tensor.requires_grad_(isinstance(spec, tuple))


def weighted_sum(torch, output):
    """A scalar in which each element counts differently, so that no gradient is a constant."""
    weights = torch.arange(1, output.numel() + 1, dtype=output.dtype, device=output.device)
    return (output * weights.reshape(output.shape).cos()).sum()


def values(tensors):
    return {name: tensor.detach().clone() for name, tensor in tensors}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layer(name, dtype):
    make, specs = LAYERS[name]

    def run(torch, device):
        layer = make(torch.nn)
        found = [repr(layer), values(layer.state_dict().items()), values(layer.named_parameters()),
                 values(layer.named_buffers()), layer.training]
        layer.to(device=device, dtype=getattr(torch, dtype))
        for training in (True, True, False):
            assert layer.train(training) is layer
            inputs = [numbers(torch, spec, device, dtype, seed)
                      for seed, spec in enumerate(specs)]
            output = layer(*inputs)
            loss = weighted_sum(torch, output)
            if loss.requires_grad:
                loss.backward()
            found += [output, loss, [x.grad for x in inputs],
                      [p.grad for p in layer.parameters()], values(layer.state_dict().items())]
        return found + [torch.rand(3)]  # both must have drawn as many random numbers

    program(run)


def test_layers_that_stay_on_the_first_stream():
    """Three layers in a row: each starts where the one before stopped drawing."""
    program(lambda torch: [list(torch.nn.Linear(7, 9).parameters()),
                           list(torch.nn.Embedding(9, 3).parameters()),
                           list(torch.nn.Bilinear(2, 3, 4).parameters()), torch.rand(2)])


def test_dtype_argument():
    program(lambda torch: [
        list(torch.nn.Linear(3, 2, dtype=torch.float64).parameters()),
        list(torch.nn.Linear(30, 20, dtype=torch.bfloat16).parameters()),
        list(torch.nn.LayerNorm(3, dtype=torch.float16).parameters()),
        list(torch.nn.BatchNorm1d(3, dtype=torch.float64).state_dict().values()),
        list(torch.nn.Embedding(3, 4, dtype=torch.float64).parameters())])


def test_embedding_from_pretrained():
    def run(torch, device):
        table = torch.arange(12.0).reshape(4, 3)
        frozen = torch.nn.Embedding.from_pretrained(table).to(device)
        free = torch.nn.Embedding.from_pretrained(table, freeze=False, padding_idx=1).to(device)
        ids = torch.tensor([1, 3, 3]).to(device)
        weighted_sum(torch, free(ids)).backward()
        return repr(frozen), repr(free), frozen.weight, frozen(ids), free(ids), free.weight.grad

    program(run)


def test_weighted_losses():
    def run(torch, device):
        weight = torch.tensor([1.0, 2.0, 0.5, 3.0, 0.1])
        logits = numbers(torch, (4, 5), device, "float32", 0)
        target = torch.tensor(CLASSES).to(device)
        soft = torch.tensor(PROBABILITIES).float().to(device)
        nn, found = torch.nn, []
        for loss, wanted in ((nn.CrossEntropyLoss(weight), target), (nn.NLLLoss(weight), target),
                             (nn.CrossEntropyLoss(weight, label_smoothing=0.2), target),
                             (nn.BCEWithLogitsLoss(weight), soft),
                             (nn.BCEWithLogitsLoss(pos_weight=weight), soft)):
            loss.to(device)
            logits.grad = None
            value = loss(logits, wanted)
            value.backward()
            found += [repr(loss), value, logits.grad, list(loss.state_dict())]
        return found

    program(run)


# --- errors --------------------------------------------------------------------------------------

ERRORS = {
    "linear_shapes": lambda torch: torch.nn.Linear(4, 3)(torch.ones(2, 5)),
    "linear_dtypes": lambda torch: torch.nn.Linear(4, 3)(torch.ones(2, 4, dtype=torch.float64)),
    "linear_sizes": lambda torch: torch.nn.Linear(4, -3),
    "linear_arguments": lambda torch: torch.nn.Linear(4, 3)(),
    "bilinear_features": lambda torch: torch.nn.Bilinear(0, 3, 2),
    "bilinear_shapes": lambda torch: torch.nn.Bilinear(3, 4, 2)(torch.ones(5, 3), torch.ones(5, 3)),
    "embedding_index": lambda torch: torch.nn.Embedding(3, 2)(torch.tensor([3])),
    "embedding_floats": lambda torch: torch.nn.Embedding(3, 2)(torch.ones(2)),
    "embedding_padding": lambda torch: torch.nn.Embedding(3, 2, padding_idx=3),
    "dropout_p": lambda torch: torch.nn.Dropout(1.5),
    "dropout_negative": lambda torch: torch.nn.AlphaDropout(-0.1),
    "batch_norm_dims": lambda torch: torch.nn.BatchNorm1d(3)(torch.ones(3)),
    "batch_norm_2d_dims": lambda torch: torch.nn.BatchNorm2d(3)(torch.ones(2, 3)),
    "batch_norm_3d_dims": lambda torch: torch.nn.BatchNorm3d(3)(torch.ones(2, 3)),
    "batch_norm_channels": lambda torch: torch.nn.BatchNorm1d(3)(torch.ones(2, 4)),
    "batch_norm_one_value": lambda torch: torch.nn.BatchNorm1d(3)(torch.ones(1, 3)),
    "layer_norm_shape": lambda torch: torch.nn.LayerNorm(3)(torch.ones(2, 4)),
    "group_norm_groups": lambda torch: torch.nn.GroupNorm(2, 3),
    "group_norm_channels": lambda torch: torch.nn.GroupNorm(2, 4)(torch.ones(2, 6)),
    "rms_norm_shape": lambda torch: torch.nn.RMSNorm(3)(torch.ones(2, 4)),
    "prelu_channels": lambda torch: torch.nn.PReLU(3)(torch.ones(2, 4)),
    "softmax_2d": lambda torch: torch.nn.Softmax2d()(torch.ones(2, 4)),
    "glu_odd": lambda torch: torch.nn.GLU()(torch.ones(2, 3)),
    "unflatten_sizes": lambda torch: torch.nn.Unflatten(1, (2, 4))(torch.ones(4, 6)),
    "unflatten_argument": lambda torch: torch.nn.Unflatten(1, 2),
    "mse_shapes": lambda torch: torch.nn.MSELoss()(torch.ones(2, 3), torch.ones(4, 5)),
    "cross_entropy_batch": lambda torch: torch.nn.CrossEntropyLoss()(
        torch.ones(2, 3), torch.tensor([1])),
    "cross_entropy_class": lambda torch: torch.nn.CrossEntropyLoss()(
        torch.ones(2, 3), torch.tensor([1, 3])),
    "bce_range": lambda torch: torch.nn.BCELoss()(torch.tensor([1.5]), torch.tensor([1.0])),
    "bce_shape": lambda torch: torch.nn.BCELoss()(torch.ones(2), torch.ones(3)),
    "reduction": lambda torch: torch.nn.MSELoss(reduction="all")(torch.ones(2), torch.ones(2)),
    "no_forward": lambda torch: torch.nn.Module()(1),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.filterwarnings("ignore")
def test_error(name):
    check_error([], ERRORS[name])


# --- nn.init -------------------------------------------------------------------------------------

INITS = {
    "uniform": lambda init, w: init.uniform_(w, -2, 3),
    "normal": lambda init, w: init.normal_(w, 1, 0.5),
    "trunc_normal": lambda init, w: init.trunc_normal_(w),
    "trunc_normal_wide": lambda init, w: init.trunc_normal_(w, std=0.02),
    "trunc_normal_tail": lambda init, w: init.trunc_normal_(w, a=1.5, b=2.5),
    "constant": lambda init, w: init.constant_(w, 0.3),
    "ones": lambda init, w: init.ones_(w),
    "zeros": lambda init, w: init.zeros_(w),
    "xavier_uniform": lambda init, w: init.xavier_uniform_(w, gain=2),
    "xavier_normal": lambda init, w: init.xavier_normal_(w),
    "kaiming_uniform": lambda init, w: init.kaiming_uniform_(w, nonlinearity="relu"),
    "kaiming_normal": lambda init, w: init.kaiming_normal_(w, mode="fan_out"),
    "kaiming_tanh": lambda init, w: init.kaiming_normal_(w, nonlinearity="tanh"),
    "orthogonal": lambda init, w: init.orthogonal_(w, gain=1.5),
}
MATRIX_INITS = {
    "eye": lambda init, w: init.eye_(w),
    "sparse": lambda init, w: init.sparse_(w, 0.4),
}


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (20, 9), (4, 3, 2), (5, 3, 3, 3)], ids=str)
@pytest.mark.parametrize("name", [*INITS, *MATRIX_INITS])
def test_init(name, shape):
    if name in MATRIX_INITS and len(shape) != 2:
        return  # these two are for matrices

    def run(torch):
        weight = torch.nn.Parameter(torch.empty(shape))
        same = {**INITS, **MATRIX_INITS}[name](torch.nn.init, weight) is weight
        return same, weight, weight._version > 0, torch.rand(2)

    program(run, rtol=1e-5 if name.startswith(("orthogonal", "trunc")) else None)


def test_init_dirac_and_gain():
    def run(torch):
        init, weight = torch.nn.init, torch.empty(4, 2, 3)
        gains = [init.calculate_gain(name) for name in ("linear", "conv2d", "sigmoid", "tanh",
                                                        "relu", "selu", "leaky_relu")]
        return (init.dirac_(weight).clone(), init.dirac_(weight, groups=2), gains,
                init.calculate_gain("leaky_relu", 0.3))

    program(run)


@pytest.mark.parametrize("fn", [
    lambda torch: torch.nn.init.xavier_normal_(torch.empty(3)),
    lambda torch: torch.nn.init.kaiming_normal_(torch.empty(3, 2), mode="in"),
    lambda torch: torch.nn.init.calculate_gain("swish"),
    lambda torch: torch.nn.init.eye_(torch.empty(3)),
    lambda torch: torch.nn.init.dirac_(torch.empty(3, 3)),
    lambda torch: torch.nn.init.orthogonal_(torch.empty(3)),
    lambda torch: torch.nn.init.sparse_(torch.empty(3), 0.1),
])
def test_init_errors(fn):
    check_error([], fn)


# --- nn.utils ------------------------------------------------------------------------------------

@pytest.mark.parametrize("norm", [2, 1, 3, 0.5, float("inf"), 0], ids=str)
@pytest.mark.parametrize("limit", [0.5, 1000.0])
def test_clip_grad_norm(norm, limit):
    def run(torch, device):
        model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Linear(5, 2)).to(device)
        weighted_sum(torch, model(numbers(torch, (3, 4), device, "float32", 0))).backward()
        utils = torch.nn.utils
        total = utils.clip_grad_norm_(model.parameters(), limit, norm_type=float(norm))
        again = utils.get_total_norm([p.grad for p in model.parameters()], float(norm))
        return total, again, [p.grad for p in model.parameters()]

    program(run)


def test_clip_grad_value_and_single_tensors():
    def run(torch, device):
        x = numbers(torch, (3, 4), device, "float64", 0)
        missing = torch.ones(2, requires_grad=True)
        (x * x).sum().backward()
        total = torch.nn.utils.clip_grad_norm_(x, 2.0)
        torch.nn.utils.clip_grad_value_([x, missing], 0.25)
        return total, x.grad, missing.grad, torch.nn.utils.clip_grad_norm_([missing], 1.0)

    program(run)


@pytest.mark.parametrize("fn", [
    lambda torch: torch.nn.utils.clip_grad_norm_(infinite(torch), 1.0, error_if_nonfinite=True),
    lambda torch: torch.nn.utils.vector_to_parameters([1.0], []),
])
def test_utils_errors(fn):
    check_error([], fn)


def infinite(torch):
    x = torch.ones(2, requires_grad=True)
    x.grad = torch.full((2,), float("inf"))
    return [x]


def test_parameters_as_a_vector():
    def run(torch):
        model = torch.nn.Linear(3, 2)
        vector = torch.nn.utils.parameters_to_vector(model.parameters())
        torch.nn.utils.vector_to_parameters(vector.detach() * 2, model.parameters())
        return vector, list(model.parameters()), model(torch.ones(1, 3))

    program(run)
