"""The modules of torch.nn that torch's own database (test_module_db.py) leaves out."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch as reference

from parity_tests.harness import candidate, check_error, program
from parity_tests.test_modules import numbers, values, weighted_sum

PLACES = np.array([[0, 3, 1], [4, 0, 2], [1, 1, 3]])
FLAT = np.array([0, 3, 1, 4, 0, 2, 1])
OFFSETS = np.array([0, 2, 2, 5])
TARGETS = np.array([0, 2, 5, 9, 3])

# name: (module, its inputs); a shape stands for random numbers
MODULES = {
    "unfold": (lambda nn: nn.Unfold(2, dilation=2, padding=1, stride=2), [(2, 3, 5, 6)]),
    "fold": (lambda nn: nn.Fold((4, 5), (2, 3), padding=(1, 0)), [(2, 6, 15)]),
    "pixel_shuffle": (lambda nn: nn.PixelShuffle(2), [(2, 8, 3, 2)]),
    "pixel_unshuffle": (lambda nn: nn.PixelUnshuffle(2), [(2, 2, 6, 4)]),
    "channel_shuffle": (lambda nn: nn.ChannelShuffle(3), [(2, 6, 2, 2)]),
    "upsample": (lambda nn: nn.Upsample(scale_factor=2), [(2, 3, 4)]),
    "upsample_size": (lambda nn: nn.Upsample((5, 7), mode="bilinear"), [(2, 3, 4, 4)]),
    "upsample_cubic": (lambda nn: nn.Upsample(scale_factor=(1.5, 2), mode="bicubic",
                                              align_corners=True), [(2, 3, 4, 4)]),
    "upsampling_nearest": (lambda nn: nn.UpsamplingNearest2d(scale_factor=2), [(2, 3, 4, 4)]),
    "upsampling_bilinear": (lambda nn: nn.UpsamplingBilinear2d((6, 5)), [(2, 3, 4, 4)]),
    "cross_map_lrn": (lambda nn: nn.CrossMapLRN2d(3, alpha=0.3, k=2), [(2, 7, 3, 2)]),
    "cross_map_lrn_wide": (lambda nn: nn.CrossMapLRN2d(5, alpha=0.3), [(2, 9, 2, 2)]),
    "cross_map_lrn_even": (lambda nn: nn.CrossMapLRN2d(4, alpha=0.3), [(2, 3, 2, 2)]),
    "embedding_bag": (lambda nn: nn.EmbeddingBag(5, 3), [PLACES]),
    "embedding_bag_sum": (lambda nn: nn.EmbeddingBag(5, 3, mode="sum", padding_idx=1), [PLACES]),
    "embedding_bag_max": (lambda nn: nn.EmbeddingBag(5, 3, mode="max", padding_idx=-1),
                          [FLAT, OFFSETS]),
    "embedding_bag_norm": (lambda nn: nn.EmbeddingBag(5, 3, max_norm=0.5, norm_type=1.0),
                           [FLAT, OFFSETS]),
    "embedding_bag_frequency": (lambda nn: nn.EmbeddingBag(5, 3, scale_grad_by_freq=True),
                                [FLAT, OFFSETS]),
    "embedding_bag_last": (lambda nn: nn.EmbeddingBag(5, 3, include_last_offset=True),
                           [FLAT, np.array([0, 2, 2, 7])]),
    "nll_2d": (lambda nn: nn.NLLLoss2d(), [(2, 5, 3, 3), np.arange(18).reshape(2, 3, 3) % 5]),
    "triplet": (lambda nn: nn.TripletMarginWithDistanceLoss(margin=0.5, swap=True),
                [(4, 5), (4, 5), (4, 5)]),
    "triplet_cosine": (lambda nn: nn.TripletMarginWithDistanceLoss(
        distance_function=nn.CosineSimilarity(), reduction="none"), [(4, 5), (4, 5), (4, 5)]),
    "adaptive_softmax": (lambda nn: nn.AdaptiveLogSoftmaxWithLoss(
        8, 10, [3, 6], div_value=2.0, head_bias=True), [(5, 8), TARGETS]),
    "adaptive_softmax_one": (lambda nn: nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3]),
                             [(8,), np.array(7)]),
    "conv_reflect": (lambda nn: nn.Conv2d(2, 4, 3, padding=(1, 2), padding_mode="reflect"),
                     [(2, 2, 5, 5)]),
    "conv_circular": (lambda nn: nn.Conv1d(2, 4, 4, padding="same", padding_mode="circular",
                                           dilation=2), [(2, 2, 9)]),
    "conv_replicate": (lambda nn: nn.Conv3d(2, 2, 3, padding=1, padding_mode="replicate",
                                            stride=2), [(1, 2, 4, 4, 4)]),
    "conv_groups": (lambda nn: nn.Conv2d(4, 8, (3, 2), groups=4, bias=False, padding="valid"),
                    [(2, 4, 5, 5)]),
    "conv_transpose": (lambda nn: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1,
                                                     output_padding=1, groups=2, dilation=2),
                       [(2, 4, 3, 3)]),
    "max_pool_indices": (lambda nn: nn.MaxPool2d(2, ceil_mode=True, return_indices=True),
                         [(2, 3, 5, 5)]),
    "lp_pool_infinite": (lambda nn: nn.LPPool2d(float("inf"), 2), [(2, 3, 4, 4)]),
    "lazy_linear": (lambda nn: nn.LazyLinear(3), [(5, 4)]),
    "lazy_batch_norm_1d": (lambda nn: nn.LazyBatchNorm1d(), [(6, 4)]),
    "lazy_batch_norm_2d": (lambda nn: nn.LazyBatchNorm2d(affine=False), [(2, 3, 4, 5)]),
    "lazy_batch_norm_3d": (lambda nn: nn.LazyBatchNorm3d(bias=False, momentum=None),
                           [(2, 3, 2, 4, 5)]),
    "lazy_instance_norm_1d": (lambda nn: nn.LazyInstanceNorm1d(), [(2, 3, 5)]),
    "lazy_instance_norm_2d": (lambda nn: nn.LazyInstanceNorm2d(affine=True,
                                                               track_running_stats=True),
                              [(2, 3, 4, 5)]),
    "lazy_instance_norm_3d": (lambda nn: nn.LazyInstanceNorm3d(affine=True), [(2, 3, 2, 4, 5)]),
    "lazy_sequence": (lambda nn: nn.Sequential(nn.LazyConv2d(3, 2), nn.LazyBatchNorm2d(), nn.ReLU(),
                                               nn.Flatten(), nn.LazyLinear(2)), [(2, 2, 4, 4)]),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_module(name, dtype):
    make, specs = MODULES[name]

    def run(torch, device):
        module = make(torch.nn)
        found = [repr(module), list(module.state_dict()), module.training]
        module.to(device=device, dtype=getattr(torch, dtype))
        for training in (True, True, False):
            module.train(training)
            inputs = [numbers(torch, spec, device, dtype, seed)
                      for seed, spec in enumerate(specs)]
            output = module(*inputs)
            outputs = output if isinstance(output, tuple) else (output,)
            loss = sum(weighted_sum(torch, each) for each in outputs if each.requires_grad)
            if not isinstance(loss, int):
                loss.backward()
            found += [output, loss, [x.grad for x in inputs],
                      [p.grad for p in module.parameters()], values(module.state_dict().items())]
        return [*found, repr(module), type(module).__name__, torch.rand(3)]

    program(run)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_max_unpool(dims):
    def run(torch, device):
        nn, x = torch.nn, numbers(torch, (2, 3, *[5] * dims), device, "float32", 0)
        pool = getattr(nn, f"MaxPool{dims}d")(2, stride=2, return_indices=True)
        unpool = getattr(nn, f"MaxUnpool{dims}d")(2, stride=2)
        largest, places = pool(x)
        back = unpool(largest, places, output_size=x.size())
        weighted_sum(torch, back).backward()
        small = unpool(*pool(numbers(torch, (2, 3, *[4] * dims), device, "float32", 1)))
        return repr(pool), repr(unpool), largest, places, back, small, x.grad

    program(run)


def test_transposed_sizes():
    def run(torch, device):
        x = numbers(torch, (2, 3, 4), device, "float32", 0)
        layer = torch.nn.ConvTranspose1d(3, 2, 3, stride=3, padding=1).to(device)
        return [layer(x, output_size=size) for size in ([10], [11], (2, 2, 12), torch.Size([12]))]

    program(run)


def test_embedding_bag_weights_and_tables():
    def run(torch, device):
        table = torch.arange(12.0).reshape(4, 3)
        bag = torch.nn.EmbeddingBag.from_pretrained(table, mode="sum", freeze=False).to(device)
        frozen = torch.nn.EmbeddingBag.from_pretrained(table, padding_idx=1)
        weights = numbers(torch, (2, 2), device, "float32", 0)
        found = bag(torch.tensor([[0, 1], [2, 2]]).to(device), per_sample_weights=weights)
        weighted_sum(torch, found).backward()
        return repr(bag), repr(frozen), frozen.weight, found, weights.grad, bag.weight.grad

    program(run)


def test_adaptive_softmax_probabilities():
    def run(torch, device):
        torch.manual_seed(3)
        layer = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [2, 4, 7], div_value=1.5).to(device)
        layer.reset_parameters()
        rows = numbers(torch, (30, 8), device, "float32", 0)
        p = layer.log_prob(rows)
        weighted_sum(torch, p).backward()
        return (p, rows.grad, layer.predict(rows), layer.predict(rows[:1]), layer.cutoffs,
                layer.head_size, [list(part.parameters()) for part in layer.tail])

    program(run)


def test_container():
    def run(torch):
        with pytest.warns(FutureWarning, match=r"`nn\.Container` is deprecated"):
            module = torch.nn.Container(one=torch.nn.ReLU(), two=torch.nn.Tanh())
        return repr(module)

    program(run)


# --- lazy modules --------------------------------------------------------------------------------

def test_lazy_state():
    """Saved with and without shapes, loaded into modules with and without."""
    def run(torch):
        nn = torch.nn
        lazy, other = nn.LazyLinear(3), nn.LazyLinear(3)
        before = [type(each).__name__ for each in lazy.state_dict().values()]
        keys = str(other.load_state_dict(lazy.state_dict()))
        full = nn.Linear(4, 3)
        loaded = str(lazy.load_state_dict(full.state_dict()))
        shapes = [tuple(p.shape) for p in lazy.parameters()]
        output = lazy(torch.ones(2, 4))
        return (before, keys, loaded, shapes, output, full(torch.ones(2, 4)), repr(lazy),
                lazy.has_uninitialized_params if hasattr(lazy, "has_uninitialized_params") else 0,
                other.has_uninitialized_params())

    program(run)


def test_lazy_copies():
    def run(torch):
        layer = torch.nn.LazyConv1d(2, 3).double()
        deep = copy.deepcopy(layer)
        pickled = pickle.loads(pickle.dumps(torch.nn.LazyBatchNorm1d()))
        x = torch.arange(24.0).reshape(2, 3, 4)
        found = [deep(x.double()).shape, pickled(x), type(deep).__name__, type(pickled).__name__]
        return [*found, type(layer).__name__, layer.weight.dtype, repr(layer.weight)]

    program(run)


def test_own_lazy_module():
    def run(torch):
        nn = torch.nn

        class Scale(nn.modules.lazy.LazyModuleMixin, nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.parameter.UninitializedParameter()
                self.calls = 0

            def initialize_parameters(self, x):
                self.calls += 1
                if self.has_uninitialized_params():
                    self.weight.materialize(x.shape[1:])
                    nn.init.uniform_(self.weight)

            def forward(self, x):
                return x * self.weight

        module = Scale()
        module.register_forward_hook(lambda module, args, output: output + 1)
        lazy = nn.parameter.is_lazy(module.weight)
        x = torch.arange(6.0).reshape(2, 3)
        return lazy, module(x), module(x), module.calls, type(module).__name__, module.weight

    program(run)


# --- errors --------------------------------------------------------------------------------------

ERRORS = {
    "conv_groups": lambda torch: torch.nn.Conv2d(3, 4, 2, groups=2),
    "conv_groups_out": lambda torch: torch.nn.Conv2d(4, 3, 2, groups=2),
    "conv_no_groups": lambda torch: torch.nn.Conv2d(4, 3, 2, groups=0),
    "conv_padding": lambda torch: torch.nn.Conv2d(4, 3, 2, padding="some"),
    "conv_same_stride": lambda torch: torch.nn.Conv2d(4, 3, 2, padding="same", stride=2),
    "conv_mode": lambda torch: torch.nn.Conv2d(4, 3, 2, padding_mode="zero"),
    "conv_dims": lambda torch: torch.nn.Conv2d(2, 3, 2)(torch.ones(2, 3)),
    "conv_channels": lambda torch: torch.nn.Conv2d(2, 3, 2)(torch.ones(1, 3, 4, 4)),
    "transposed_mode": lambda torch: torch.nn.ConvTranspose2d(4, 3, 2, padding_mode="reflect"),
    "transposed_size": lambda torch: torch.nn.ConvTranspose1d(1, 1, 3, 2)(
        torch.ones(1, 1, 4), output_size=[12]),
    "transposed_sizes": lambda torch: torch.nn.ConvTranspose1d(1, 1, 3, 2)(
        torch.ones(1, 1, 4), output_size=[1, 12]),
    "lazy_conv_dims": lambda torch: torch.nn.LazyConv2d(3, 2)(torch.ones(2, 3)),
    "lazy_conv_groups": lambda torch: torch.nn.LazyConv2d(3, 2, groups=3)(torch.ones(2, 4, 4, 4)),
    "lazy_shape": lambda torch: torch.nn.LazyLinear(3).weight.shape,
    "lazy_op": lambda torch: torch.nn.Linear(2, 3).load_state_dict(
        torch.nn.LazyLinear(3).state_dict()),
    "lazy_features": lambda torch: loaded(torch)(torch.ones(2, 5)),
    "fractional_nothing": lambda torch: torch.nn.FractionalMaxPool2d(2),
    "fractional_both": lambda torch: torch.nn.FractionalMaxPool2d(2, 2, 0.5),
    "fractional_ratio": lambda torch: torch.nn.FractionalMaxPool3d(2, output_ratio=1.5),
    "fractional_kernel": lambda torch: torch.nn.FractionalMaxPool3d((2, 0, 2), 2),
    "fractional_samples": lambda torch: torch.nn.FractionalMaxPool2d(
        2, 3, _random_samples=torch.ones(1, 3, 2))(torch.ones(2, 3, 6, 6)),
    "max_pool_dims": lambda torch: torch.nn.MaxPool3d(2)(torch.ones(2, 3)),
    "circular_dims": lambda torch: torch.nn.CircularPad2d(1)(torch.ones(2, 3)),
    "cross_map_dims": lambda torch: torch.nn.CrossMapLRN2d(3)(torch.ones(2, 3)),
    "local_response_dims": lambda torch: torch.nn.LocalResponseNorm(3)(torch.ones(3)),
    "multi_margin_p": lambda torch: torch.nn.MultiMarginLoss(p=3),
    "multi_margin_weight": lambda torch: torch.nn.MultiMarginLoss(weight=torch.ones(2, 2)),
    "triplet_margin": lambda torch: torch.nn.TripletMarginWithDistanceLoss(margin=0),
    "huber_delta": lambda torch: torch.nn.HuberLoss(delta="1"),
    "bag_padding": lambda torch: torch.nn.EmbeddingBag(3, 2, padding_idx=3),
    "bag_padding_negative": lambda torch: torch.nn.EmbeddingBag(3, 2, padding_idx=-4),
    "bag_weight": lambda torch: torch.nn.EmbeddingBag(3, 2, _weight=torch.ones(2, 2)),
    "bag_table": lambda torch: torch.nn.EmbeddingBag.from_pretrained(torch.ones(2)),
    "bag_offsets": lambda torch: torch.nn.EmbeddingBag(3, 2)(torch.tensor([1])),
    "adaptive_cutoffs": lambda torch: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 3]),
    "adaptive_no_cutoffs": lambda torch: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, []),
    "adaptive_target": lambda torch: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3])(
        torch.ones(2, 8), torch.tensor([1, 10])),
    "adaptive_batch": lambda torch: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3])(
        torch.ones(2, 8), torch.tensor([1])),
    "adaptive_dims": lambda torch: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3])(
        torch.ones(2, 8), torch.tensor(1)),
    "adaptive_dims_1d": lambda torch: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3])(
        torch.ones(2), torch.tensor([1, 2])),
    "linear_cross_entropy_weight": lambda torch: torch.nn.LinearCrossEntropyLoss(
        3, 4, weight=torch.ones(3)),
    "old_instance_norm": lambda torch: torch.nn.InstanceNorm1d(2).load_state_dict(
        {"running_mean": torch.ones(2), "running_var": torch.ones(2)}),
}


def loaded(torch):
    """A lazy layer that has its weight from a saved one, but has not been called."""
    layer = torch.nn.LazyLinear(3)
    layer.load_state_dict(torch.nn.Linear(4, 3).state_dict())
    return layer


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.filterwarnings("ignore")
def test_error(name):
    check_error([], ERRORS[name])


def test_lazy_parameters_in_ops():
    """Torch names the op; what to do about it is said in the same words."""
    check_error([], lambda torch: torch.nn.LazyLinear(3).weight + 1,
                "Call `forward` with a dummy batch to initialize the parameters")


# --- what is in torch.nn -------------------------------------------------------------------------

PARALLEL = {"SyncBatchNorm", "DataParallel"}


@pytest.mark.parametrize("name", sorted(PARALLEL))
def test_one_process(name):
    with pytest.raises(AttributeError, match="one process, on one device"):
        getattr(candidate().nn, name)


@pytest.mark.parametrize("name", ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_",
                                  "selu_", "threshold_"])
def test_functional_in_place(name):
    more = {"threshold_": (0.1, 2.0), "hardtanh_": (-0.5, 0.3)}.get(name, ())

    def run(torch, device):
        x = numbers(torch, (3, 4), device, "float64", 0)
        y = x * 1
        same = getattr(torch.nn.functional, name)(y, *more) is y
        weighted_sum(torch, y).backward()
        return same, y, x.grad, y.grad_fn.name()

    program(run)


def test_names_of_torch():
    """What torch.nn has and minigrad has not is listed here."""
    attention = {"GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase",
                 "MultiheadAttention", "Transformer", "TransformerDecoder",
                 "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer"}
    missing = set(reference.nn.modules.__all__) - set(candidate().nn.__all__)
    assert missing <= PARALLEL | attention
