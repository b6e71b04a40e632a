"""RNN, LSTM, GRU, their cells and functions."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch as reference

from parity_tests.compare import compare, graph_signature, to_numpy
from parity_tests.harness import candidate, check, check_error, program

KINDS = ("LSTM", "GRU", "RNN")

# name: the options of the layer
OPTIONS = {
    "plain": {},
    "two_layers": dict(num_layers=2),
    "three_layers": dict(num_layers=3, bias=False),
    "bidirectional": dict(bidirectional=True),
    "bidirectional_layers": dict(num_layers=2, bidirectional=True),
    "dropout": dict(num_layers=3, dropout=0.4),
    "dropout_bidirectional": dict(num_layers=2, dropout=0.3, bidirectional=True, batch_first=True),
    "batch_first": dict(batch_first=True),
    "no_bias": dict(bias=False, bidirectional=True),
}
LAYERS = {
    **{f"{kind.lower()}_{name}": (kind, options) for kind in KINDS
       for name, options in OPTIONS.items()},
    "rnn_relu": ("RNN", dict(nonlinearity="relu")),
    "rnn_relu_layers": ("RNN", dict(nonlinearity="relu", num_layers=2, bidirectional=True)),
    "lstm_projected": ("LSTM", dict(proj_size=2)),
    "lstm_projected_layers": ("LSTM", dict(proj_size=2, num_layers=2, bidirectional=True)),
    "lstm_projected_no_bias": ("LSTM", dict(proj_size=2, bias=False, batch_first=True)),
}
WIDTH, HIDDEN, BATCH, STEPS = 3, 4, 2, 5


def numbers(torch, shape, device="cpu", dtype="float64", seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return torch.tensor(values).to(dtype=getattr(torch, dtype)).to(device).requires_grad_()


def make(torch, name, device="cpu", dtype="float64"):
    kind, options = LAYERS[name]
    layer = getattr(torch.nn, kind)(WIDTH, HIDDEN, **options)
    return layer.to(device=device, dtype=getattr(torch, dtype))


def initial(torch, layer, batch, device, dtype):
    """States that require a gradient; without `batch`, those of one sequence."""
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    middle = () if batch is None else (batch,)
    h = numbers(torch, (count, *middle, layer.proj_size or HIDDEN), device, dtype, 7)
    if layer.mode != "LSTM":
        return h
    return h, numbers(torch, (count, *middle, HIDDEN), device, dtype, 8)


def flat(nest):
    if isinstance(nest, (tuple, list)):
        return [tensor for each in nest for tensor in flat(each)]
    return [nest]


def weighted_sum(torch, outputs):
    """A scalar in which each element counts differently."""
    total = 0
    for output in flat(outputs):
        weights = torch.arange(1, output.numel() + 1, dtype=output.dtype, device=output.device)
        total = total + (output * weights.reshape(output.shape).cos()).sum()
    return total


def input_shape(layer, batch=BATCH):
    if batch is None:
        return STEPS, WIDTH
    return (batch, STEPS, WIDTH) if layer.batch_first else (STEPS, batch, WIDTH)


# --- the layers ----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_layer(name, dtype):
    """The same parameters from the same seed; outputs, states and gradients, also in eval."""
    def run(torch, device):
        layer = make(torch, name)
        found = [repr(layer), list(layer.state_dict().items()),
                 [parameter for weights in layer.all_weights for parameter in weights]]
        layer.to(device=device, dtype=getattr(torch, dtype))
        layer.flatten_parameters()
        for training, given in ((True, False), (True, True), (False, True)):
            layer.train(training).zero_grad()
            x = numbers(torch, input_shape(layer), device, dtype)
            states = initial(torch, layer, BATCH, device, dtype) if given else None
            output = layer(x, states)
            weighted_sum(torch, output).backward()
            found += [output, x.grad, [p.grad for p in layer.parameters()],
                      None if states is None else [state.grad for state in flat(states)]]
        return found + [torch.rand(3)]  # dropout must have drawn as many random numbers

    program(run)


@pytest.mark.parametrize("name", LAYERS)
def test_second_gradients(name):
    def run(torch, device):
        layer = make(torch, name, device).eval()
        x = numbers(torch, input_shape(layer), device)
        leaves = [x, *flat(initial(torch, layer, BATCH, device, "float64")), *layer.parameters()]
        h = leaves[1] if layer.mode != "LSTM" else tuple(leaves[1:3])
        first = torch.autograd.grad(weighted_sum(torch, layer(x, h)), leaves, create_graph=True)
        second = torch.autograd.grad(weighted_sum(torch, [g * g for g in first]), leaves,
                                     create_graph=name.endswith("_plain"))
        if not name.endswith("_plain"):
            return first, second
        third = torch.autograd.grad(weighted_sum(torch, second), leaves)
        return first, second, third

    program(run, rtol=1e-11)


@pytest.mark.parametrize("name", ["lstm_bidirectional_layers", "gru_batch_first", "rnn_two_layers",
                                  "lstm_projected"])
def test_without_a_batch(name):
    def run(torch, device):
        layer = make(torch, name, device)
        x = numbers(torch, input_shape(layer, None), device)
        states = initial(torch, layer, None, device, "float64")
        found = [layer(x), layer(x, states)]
        weighted_sum(torch, found).backward()
        return found, x.grad, [p.grad for p in layer.parameters()], [s.grad for s in flat(states)]

    program(run)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("lengths", [[5, 3, 3, 1], [2, 5, 1, 4]], ids=str)
def test_packed(name, lengths):
    """Sequences of several lengths, sorted or not, in and out of a layer."""
    def run(torch, device):
        rnn = torch.nn.utils.rnn
        layer = make(torch, name, device)
        x = numbers(torch, input_shape(layer, 4), device)
        packed = rnn.pack_padded_sequence(x, lengths, layer.batch_first,
                                          enforce_sorted=lengths[0] == 5)
        found = []
        for states in (None, initial(torch, layer, 4, device, "float64")):
            output, final = layer(packed, states)
            padded = rnn.pad_packed_sequence(output, layer.batch_first)
            found += [list(output), final, padded]
            layer.zero_grad()
            x.grad = None
            weighted_sum(torch, [padded[0], final]).backward(retain_graph=True)
            found += [x.grad, [p.grad for p in layer.parameters()],
                      [] if states is None else [state.grad for state in flat(states)]]
        return found

    program(run)


@pytest.mark.parametrize("name", ["lstm_bidirectional", "gru_plain", "rnn_relu",
                                  "lstm_projected"])
def test_second_gradients_of_packed_sequences(name):
    def run(torch, device):
        layer = make(torch, name, device)
        x = numbers(torch, input_shape(layer, 3), device)
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, [5, 3, 1])
        output, final = layer(packed)
        leaves = [x, *layer.parameters()]
        first = torch.autograd.grad(weighted_sum(torch, [output.data, final]), leaves,
                                    create_graph=True)
        return torch.autograd.grad(weighted_sum(torch, [g * g for g in first]), leaves)

    program(run, rtol=1e-11)


def test_only_what_requires_a_gradient():
    def run(torch, device):
        found = []
        for kind in KINDS:
            layer = getattr(torch.nn, kind)(WIDTH, HIDDEN, dtype=torch.float64).to(device)
            layer.weight_hh_l0.requires_grad_(False)
            layer.bias_ih_l0.requires_grad_(False)
            x = numbers(torch, (STEPS, BATCH, WIDTH), device)
            output = layer(x.detach())[0]
            output.sum().backward()
            found.append([p.grad for p in layer.parameters()])
            layer.requires_grad_(False)
            first, = torch.autograd.grad(layer(x)[0].sin().sum(), x, create_graph=True)
            found += [first, torch.autograd.grad(first.sin().sum(), x)]
            with torch.no_grad():
                found.append(layer(x))
        return found

    program(run)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_final_state_counts(kind):
    def run(torch, device):
        layer = getattr(torch.nn, kind)(WIDTH, HIDDEN, 2, dtype=torch.float64).to(device)
        x = numbers(torch, (STEPS, BATCH, WIDTH), device)
        _, final = layer(x)
        flat(final)[-1].sin().sum().backward()
        return x.grad, [p.grad for p in layer.parameters()]

    program(run)


@pytest.mark.parametrize("name", ["lstm_two_layers", "gru_bidirectional", "rnn_plain",
                                  "lstm_projected"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(name, dtype):
    def run(torch, device):
        layer = make(torch, name, device, dtype)
        return layer(numbers(torch, input_shape(layer), device, dtype))

    program(run, rtol=3.2e-2 if dtype == "bfloat16" else 4e-3)


def test_autocast():
    def run(torch, device):
        found = []
        for name in ("lstm_plain", "rnn_plain", "gru_plain"):
            layer = make(torch, name, device, "float32")
            x = numbers(torch, input_shape(layer), device, "float32")
            with torch.amp.autocast(device, dtype=torch.bfloat16):
                output, final = layer(x)
            weighted_sum(torch, output.float()).backward()
            found += [output, final, x.grad]
        return found

    program(run, rtol=3.2e-2)


@pytest.mark.parametrize("name", ["lstm_bidirectional_layers", "gru_three_layers",
                                  "rnn_relu_layers", "lstm_projected_layers"])
def test_state_dict_exchange(name):
    """A state from torch loads here and computes the same; and back."""
    theirs, ours = make(reference, name), make(candidate(), name)
    state = {key: candidate().tensor(to_numpy(value)) for key, value in theirs.state_dict().items()}
    assert str(ours.load_state_dict(state)) == "<All keys matched successfully>"
    x = np.random.default_rng(1).standard_normal(input_shape(theirs))
    theirs.eval(), ours.eval()
    want, got = theirs(reference.tensor(x))[0], ours(candidate().tensor(x))[0]
    compare(to_numpy(got), to_numpy(want))
    back = {key: reference.tensor(to_numpy(value)) for key, value in ours.state_dict().items()}
    theirs.load_state_dict(back)


def test_copies_and_pickles():
    def run(torch):
        layer = torch.nn.LSTM(WIDTH, HIDDEN, 2)
        other, third = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        x = torch.ones(STEPS, BATCH, WIDTH)
        return layer(x), other(x), third(x)

    program(run)


def test_parameters_put_in_place_count():
    def run(torch):
        layer = torch.nn.GRU(WIDTH, HIDDEN)
        layer.weight_ih_l0 = torch.nn.Parameter(torch.ones(3 * HIDDEN, WIDTH))
        return layer(torch.ones(STEPS, BATCH, WIDTH)), layer.all_weights

    program(run)


def test_the_output_may_be_written_over():
    def run(torch, device):
        found = []
        for kind in ("GRU", "RNN"):
            layer = getattr(torch.nn, kind)(WIDTH, HIDDEN).to(device)
            output, _ = layer(torch.ones(STEPS, BATCH, WIDTH).to(device))
            output.mul_(2).sum().backward()
            found.append([p.grad for p in layer.parameters()])
        return found

    program(run)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_lstm_of_float32_has_the_graph_of_torch(bidirectional):
    """One node a layer and direction; the others are recorded step by step in torch."""
    def kinds(torch):
        layer = torch.nn.LSTM(WIDTH, HIDDEN, 2, bidirectional=bidirectional)
        graph = graph_signature(layer(torch.ones(STEPS, BATCH, WIDTH))[0])
        return [node for node, _ in graph].count("MkldnnRnnLayerBackward0")

    assert kinds(candidate()) == kinds(reference) == (4 if bidirectional else 2)


# --- the cells -----------------------------------------------------------------------------------

CELLS = {
    "lstm": lambda nn, **options: nn.LSTMCell(WIDTH, HIDDEN, **options),
    "gru": lambda nn, **options: nn.GRUCell(WIDTH, HIDDEN, **options),
    "rnn": lambda nn, **options: nn.RNNCell(WIDTH, HIDDEN, **options),
    "relu": lambda nn, **options: nn.RNNCell(WIDTH, HIDDEN, nonlinearity="relu", **options),
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_cell(name, bias):
    def run(torch, device):
        cell = CELLS[name](torch.nn, bias=bias)
        found = [repr(cell), list(cell.state_dict().items())]
        cell.to(device=device, dtype=torch.float64)
        for shape in ((BATCH, WIDTH), (WIDTH,)):
            x = numbers(torch, shape, device)
            h = [numbers(torch, (*shape[:-1], HIDDEN), device, seed=seed) for seed in (1, 2)]
            state = tuple(h) if name == "lstm" else h[0]
            for _ in range(3):
                state = cell(x, state)
            once = cell(x)
            cell.zero_grad()
            weighted_sum(torch, [state, once]).backward()
            found += [state, once, x.grad, [p.grad for p in cell.parameters()], [s.grad for s in h]]
        return found

    program(run)


@pytest.mark.parametrize("gates", [4, 3, 1, 0])
def test_cell_functions(gates):
    """torch.lstm_cell, gru_cell, rnn_tanh_cell, rnn_relu_cell: the same graph, node for node."""
    name = {4: "lstm_cell", 3: "gru_cell", 1: "rnn_tanh_cell", 0: "rnn_relu_cell"}[gates]
    rows = max(gates, 1) * HIDDEN
    shapes = [(BATCH, WIDTH), (BATCH, HIDDEN), (rows, WIDTH), (rows, HIDDEN), (rows,), (rows,)]
    if gates == 4:
        check([*shapes, (BATCH, HIDDEN)], lambda lib, x, h, w, u, a, b, c: lib.lstm_cell(
            x, (h, c), w, u, a, b), same_graph=True)
        check([*shapes[:4], (BATCH, HIDDEN)], lambda lib, x, h, w, u, c: lib.lstm_cell(
            x, (h, c), w, u), dtypes=["float64"])
    else:
        check(shapes, lambda lib, x, h, w, u, a, b: getattr(lib, name)(x, h, w, u, a, b),
              same_graph=True)
        check(shapes[:4], lambda lib, x, h, w, u: getattr(lib, name)(x, h, w, u),
              dtypes=["float64"])


# --- the functions -------------------------------------------------------------------------------

FUNCTIONS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    rows = FUNCTIONS[name] * HIDDEN
    shapes = [(STEPS, BATCH, WIDTH), (1, BATCH, HIDDEN), (rows, WIDTH), (rows, HIDDEN), (rows,),
              (rows,)]
    options = (True, 1, 0.0, False, False, False)
    if name == "lstm":
        check([*shapes, (1, BATCH, HIDDEN)], lambda lib, x, h, w, u, a, b, c: lib.lstm(
            x, (h, c), (w, u, a, b), *options))
    else:
        check(shapes, lambda lib, x, h, w, u, a, b: getattr(lib, name)(
            x, h, (w, u, a, b), *options))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_of_packed_data(name):
    rows = FUNCTIONS[name] * HIDDEN
    shapes = [(6, WIDTH), (2, 3, HIDDEN), *[(rows, WIDTH), (rows, HIDDEN)] * 2]
    sizes, options = [3, 2, 1], (False, 1, 0.0, False, True)
    if name == "lstm":
        check([*shapes, (2, 3, HIDDEN)], lambda lib, x, h, w, u, v, t, c: lib.lstm(
            x, lib.tensor(sizes), (h, c), (w, u, v, t), *options))
    else:
        check(shapes, lambda lib, x, h, w, u, v, t: getattr(lib, name)(
            x, lib.tensor(sizes), h, (w, u, v, t), *options))


# --- errors --------------------------------------------------------------------------------------

def ones(torch, *shape):
    return torch.ones(*shape)


def weights(torch, gates, width=WIDTH):
    rows = gates * HIDDEN
    return [torch.ones(rows, width), torch.ones(rows, HIDDEN), torch.ones(rows), torch.ones(rows)]


def run_lstm(torch, states, parameters=None, layers=1, **named):
    return torch.lstm(torch.ones(5, 2, 3), states, parameters or weights(torch, 4), True, layers,
                      0.0, True, False, False, **named)


def run_gru(torch, x=None, h=None, parameters=None, biases=True, layers=1, both=False):
    x = torch.ones(5, 2, 3) if x is None else x
    h = torch.ones(1, 2, 4) if h is None else h
    return torch.gru(x, h, parameters or weights(torch, 3), biases, layers, 0.0, True, both, False)


def pack(torch, *args, **options):
    return torch.nn.utils.rnn.pack_padded_sequence(*args, **options)


ERRORS = {
    "size": lambda t: t.nn.LSTM(0, 4),
    "size_type": lambda t: t.nn.LSTM(3.0, 4),
    "hidden": lambda t: t.nn.GRU(3, -1),
    "hidden_type": lambda t: t.nn.GRU(3, "4"),
    "layers": lambda t: t.nn.RNN(3, 4, 0),
    "bias_type": lambda t: t.nn.RNN(3, 4, bias=1),
    "batch_first_type": lambda t: t.nn.RNN(3, 4, batch_first=None),
    "dropout_range": lambda t: t.nn.LSTM(3, 4, 2, dropout=1.5),
    "dropout_bool": lambda t: t.nn.LSTM(3, 4, 2, dropout=True),
    "projection": lambda t: t.nn.LSTM(3, 4, proj_size=4),
    "projection_negative": lambda t: t.nn.LSTM(3, 4, proj_size=-1),
    "projection_gru": lambda t: t.nn.GRU(3, 4, proj_size=2),
    "projection_rnn": lambda t: t.nn.RNN(3, 4, proj_size=2),
    "nonlinearity": lambda t: t.nn.RNN(3, 4, nonlinearity="gelu"),
    "mode": lambda t: t.nn.RNNBase("NTM", 3, 4),
    "lstm_dims": lambda t: t.nn.LSTM(3, 4)(ones(t, 3)),
    "rnn_dims": lambda t: t.nn.RNN(3, 4)(ones(t, 3)),
    "gru_dims": lambda t: t.nn.GRU(3, 4)(ones(t, 1, 2, 3, 3)),
    "width": lambda t: t.nn.GRU(3, 4)(ones(t, 5, 2, 4)),
    "dtype": lambda t: t.nn.GRU(3, 4)(ones(t, 5, 2, 3).double()),
    "state": lambda t: t.nn.GRU(3, 4)(ones(t, 5, 2, 3), ones(t, 1, 3, 4)),
    "state_layers": lambda t: t.nn.RNN(3, 4, 2)(ones(t, 5, 2, 3), ones(t, 1, 2, 4)),
    "state_dims": lambda t: t.nn.GRU(3, 4)(ones(t, 5, 2, 3), ones(t, 1, 4)),
    "state_dims_unbatched": lambda t: t.nn.RNN(3, 4)(ones(t, 5, 3), ones(t, 1, 1, 4)),
    "lstm_state": lambda t: t.nn.LSTM(3, 4)(ones(t, 5, 2, 3), (ones(t, 1, 3, 4), ones(t, 1, 2, 4))),
    "lstm_cell_state": lambda t: t.nn.LSTM(3, 4)(
        ones(t, 5, 2, 3), (ones(t, 1, 2, 4), ones(t, 1, 2, 5))),
    "lstm_state_dims": lambda t: t.nn.LSTM(3, 4)(ones(t, 5, 2, 3), (ones(t, 1, 4), ones(t, 1, 4))),
    "lstm_state_dims_unbatched": lambda t: t.nn.LSTM(3, 4)(
        ones(t, 5, 3), (ones(t, 1, 1, 4), ones(t, 1, 1, 4))),
    "no_steps": lambda t: t.nn.GRU(3, 4)(ones(t, 0, 2, 3)),
    "packed_width": lambda t: t.nn.GRU(3, 4)(pack(t, ones(t, 5, 2, 4), [5, 2])),
    "packed_state": lambda t: t.nn.GRU(3, 4)(pack(t, ones(t, 5, 2, 3), [5, 2]), ones(t, 1, 3, 4)),
    "cell_dims": lambda t: t.nn.GRUCell(3, 4)(ones(t, 1, 2, 3)),
    "cell_state_dims": lambda t: t.nn.GRUCell(3, 4)(ones(t, 2, 3), ones(t, 1, 2, 4)),
    "rnn_cell_dims": lambda t: t.nn.RNNCell(3, 4)(ones(t, 1, 2, 3)),
    "rnn_cell_nonlinearity": lambda t: t.nn.RNNCell(3, 4, nonlinearity="gelu")(ones(t, 2, 3)),
    "lstm_cell_dims": lambda t: t.nn.LSTMCell(3, 4)(ones(t, 1, 2, 3)),
    "lstm_cell_state_dims": lambda t: t.nn.LSTMCell(3, 4)(
        ones(t, 2, 3), (ones(t, 2, 4), ones(t, 1, 2, 4))),
    "cell_width": lambda t: t.nn.LSTMCell(3, 4)(ones(t, 2, 5)),
    "cell_batch": lambda t: t.nn.LSTMCell(3, 4)(ones(t, 2, 3), (ones(t, 1, 4), ones(t, 2, 4))),
    "cell_batch_of_c": lambda t: t.nn.LSTMCell(3, 4)(
        ones(t, 2, 3), (ones(t, 2, 4), ones(t, 1, 4))),
    "cell_hidden": lambda t: t.nn.GRUCell(3, 4)(ones(t, 2, 3), ones(t, 2, 5)),
    "cell_dtypes": lambda t: t.nn.LSTMCell(3, 4)(ones(t, 2, 3).double()),
    "cell_one_state": lambda t: t.lstm_cell(ones(t, 2, 3), (ones(t, 2, 4),), *weights(t, 4)),
    "cell_no_tuple": lambda t: t.lstm_cell(ones(t, 2, 3), ones(t, 2, 2, 4), *weights(t, 4)),
    "gru_cell_rows": lambda t: t.gru_cell(ones(t, 2, 3), ones(t, 2, 4), *weights(t, 2)),
    "cell_vector": lambda t: t.gru_cell(ones(t, 3), ones(t, 4), *weights(t, 3)),
    "lstm_one_state": lambda t: run_lstm(t, (ones(t, 1, 2, 4),)),
    "gru_parameters": lambda t: run_gru(t, parameters=weights(t, 3)[:3]),
    "gru_layers": lambda t: run_gru(t, parameters=weights(t, 3) + weights(t, 3, 4), layers=2),
    "gru_odd": lambda t: run_gru(t, h=ones(t, 2, 2, 4), both=True),
    "gru_more_states": lambda t: run_gru(t, h=ones(t, 2, 2, 4)),
    "gru_width": lambda t: run_gru(t, ones(t, 5, 2, 4)),
    "gru_hidden": lambda t: run_gru(t, h=ones(t, 1, 2, 5)),
    "gru_dtype": lambda t: run_gru(t, ones(t, 5, 2, 3).double()),
    "gru_no_steps": lambda t: run_gru(t, ones(t, 0, 2, 3)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], ERRORS[name])


def test_dropout_of_one_layer_warns():
    def run(torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.nn.GRU(3, 4, dropout=0.5)
        return [str(each.message) for each in caught]

    program(run)
