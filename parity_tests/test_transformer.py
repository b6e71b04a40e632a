"""MultiheadAttention, the layers and stacks of a transformer, and attention itself."""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import pytest
import torch as reference

from parity_tests.compare import compare, to_numpy
from parity_tests.harness import candidate, check, check_error, program

WIDTH, HEADS, BATCH, STEPS, KEYS = 8, 2, 3, 4, 5


def numbers(torch, shape, device="cpu", dtype="float64", seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return torch.tensor(values).to(dtype=getattr(torch, dtype)).to(device).requires_grad_()


def causal(torch, size, dtype="float64"):
    return torch.nn.Transformer.generate_square_subsequent_mask(size, dtype=getattr(torch, dtype))


def padded(torch, batch, length):
    """A boolean mask of what is padding: more and more of it from sample to sample."""
    ends = torch.arange(length, length - batch, -1)
    return torch.arange(length).unsqueeze(0) >= ends.unsqueeze(1)


def weighted_sum(torch, output):
    weights = torch.arange(1, output.numel() + 1, dtype=output.dtype, device=output.device)
    return (output * weights.reshape(output.shape).cos()).sum()


def second_order(torch, first, leaves):
    """The gradients of the gradients' squares; zeros where a leaf does not count."""
    second = torch.autograd.grad(sum((g * g).sum() for g in first), leaves, allow_unused=True)
    return [torch.zeros(leaf.shape, dtype=leaf.dtype, device=leaf.device) if each is None else each
            for each, leaf in zip(second, leaves, strict=True)]


def to(device, nest):
    if isinstance(nest, dict):
        return {name: to(device, each) for name, each in nest.items()}
    return nest.to(device) if hasattr(nest, "device") else nest


# --- attention by several heads ------------------------------------------------------------------

# name: (options of the layer, whether it attends to its own input, options of the call)
ATTENTIONS = {
    "self": ({}, True, lambda t: {}),
    "cross": ({}, False, lambda t: {}),
    "no_weights": ({}, True, lambda t: dict(need_weights=False)),
    "each_head": ({}, False, lambda t: dict(average_attn_weights=False)),
    "no_bias": (dict(bias=False), True, lambda t: {}),
    "batch_first": (dict(batch_first=True), True, lambda t: {}),
    "batch_first_cross": (dict(batch_first=True), False, lambda t: dict(need_weights=False)),
    "bias_kv": (dict(add_bias_kv=True), False, lambda t: {}),
    "zero_attn": (dict(add_zero_attn=True), False, lambda t: {}),
    "all_added": (dict(add_zero_attn=True, add_bias_kv=True), True, lambda t: dict(
        attn_mask=causal(t, STEPS), key_padding_mask=padded(t, BATCH, STEPS))),
    "widths": (dict(kdim=5, vdim=6), False, lambda t: {}),
    "width_of_keys": (dict(kdim=5, bias=False), False, lambda t: dict(need_weights=False)),
    "causal": ({}, True, lambda t: dict(attn_mask=causal(t, STEPS), is_causal=True)),
    "causal_no_weights": ({}, True, lambda t: dict(
        attn_mask=causal(t, STEPS), is_causal=True, need_weights=False)),
    "boolean_mask": ({}, True, lambda t: dict(
        attn_mask=t.ones(STEPS, STEPS, dtype=t.bool).triu(1), need_weights=False)),
    "mask_of_heads": ({}, True, lambda t: dict(attn_mask=t.arange(
        float(BATCH * HEADS * STEPS * STEPS)).double().reshape(-1, STEPS, STEPS).sin())),
    "padding": ({}, False, lambda t: dict(key_padding_mask=padded(t, BATCH, KEYS))),
    "padding_no_weights": (dict(batch_first=True), True, lambda t: dict(
        key_padding_mask=padded(t, BATCH, STEPS), need_weights=False)),
    "padding_and_mask": ({}, True, lambda t: dict(
        key_padding_mask=padded(t, BATCH, STEPS), attn_mask=t.ones(
            STEPS, STEPS, dtype=t.bool).triu(1), is_causal=True, need_weights=False)),
    "dropout": (dict(dropout=0.4), True, lambda t: {}),
    "dropout_no_weights": (dict(dropout=0.4), False, lambda t: dict(need_weights=False)),
}


def make_attention(torch, name):
    options, own, call = ATTENTIONS[name]
    return torch.nn.MultiheadAttention(WIDTH, HEADS, **options), own, call(torch)


def inputs_of_attention(torch, layer, own, device="cpu", dtype="float64", batched=True):
    def sequence(length, width, seed):
        shape = (BATCH, length, width) if layer.batch_first else (length, BATCH, width)
        return numbers(torch, shape if batched else (length, width), device, dtype, seed)

    query = sequence(STEPS, WIDTH, 0)
    if own:
        return query, query, query
    return query, sequence(KEYS, layer.kdim, 1), sequence(KEYS, layer.vdim, 2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_layer(name):
    def run(torch, device):
        layer, own, call = make_attention(torch, name)
        found = [repr(layer), list(layer.state_dict().items())]
        layer.to(device=device, dtype=torch.float64)
        call = to(device, call)
        for training in (True, False):
            layer.train(training).zero_grad()
            inputs = inputs_of_attention(torch, layer, own, device)
            output, weights = layer(*inputs, **call)
            loss = weighted_sum(torch, output)
            if weights is not None:
                loss = loss + weighted_sum(torch, weights)
            loss.backward()
            found += [output, weights, [x.grad for x in inputs],
                      [p.grad for p in layer.parameters()]]
        return found + [torch.rand(2)]

    program(run)


@pytest.mark.parametrize("name", [name for name in ATTENTIONS if "no_weights" not in name
                                  and name not in ("boolean_mask", "batch_first_cross",
                                                   "width_of_keys", "padding_and_mask")])
@pytest.mark.filterwarnings("ignore")
def test_second_gradients_of_attention(name):
    """With `need_weights`: without, torch's one op for it has no second derivative."""
    def run(torch, device):
        layer, own, call = make_attention(torch, name)
        layer.to(device=device, dtype=torch.float64)
        inputs = inputs_of_attention(torch, layer, own, device)
        leaves = [*{id(x): x for x in inputs}.values(), *layer.parameters()]
        loss = weighted_sum(torch, layer(*inputs, **to(device, call))[0])
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        return [g.detach() for g in first], second_order(torch, first, leaves)

    program(run, rtol=1e-11)


@pytest.mark.parametrize("name", ["self", "cross", "no_weights", "each_head", "causal"])
def test_attention_without_a_batch(name):
    def run(torch, device):
        layer, own, call = make_attention(torch, name)
        layer.to(device=device, dtype=torch.float64)
        return layer(*inputs_of_attention(torch, layer, own, device, batched=False),
                     **to(device, call))

    program(run)


@pytest.mark.parametrize("name", ["self", "causal_no_weights"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_attention_in_other_dtypes(name, dtype):
    def run(torch, device):
        layer, own, _ = make_attention(torch, name)
        layer.to(device=device, dtype=getattr(torch, dtype))
        call = dict(need_weights=name == "self")
        return layer(*inputs_of_attention(torch, layer, own, device, dtype), **call)

    program(run, rtol=3.2e-2 if dtype == "bfloat16" else None)


def test_evaluation_without_gradients():
    """Where torch takes its fast path, results are the same."""
    def run(torch, device):
        layer = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).to(device).eval()
        encoder = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=True).to(device)
        x = numbers(torch, (BATCH, STEPS, WIDTH), device, "float32")
        mask = causal(torch, STEPS, "float32").to(device)
        with torch.no_grad():
            return (layer(x, x, x), layer(x, x, x, attn_mask=mask, need_weights=False),
                    encoder.eval()(x), encoder(x, mask))

    program(run)


# --- layers and stacks ---------------------------------------------------------------------------

LAYER_OPTIONS = {
    "plain": {},
    "norm_first": dict(norm_first=True),
    "gelu": dict(activation="gelu", dropout=0.3),
    "function": dict(activation=lambda x: x * x, layer_norm_eps=1e-3),
    "batch_first": dict(batch_first=True, norm_first=True),
    "no_bias": dict(bias=False),
}


def sequence(torch, layer, length, device, seed=0):
    first = layer.self_attn.batch_first if hasattr(layer, "self_attn") else layer.batch_first
    shape = (BATCH, length, WIDTH) if first else (length, BATCH, WIDTH)
    return numbers(torch, shape, device, seed=seed)


@pytest.mark.parametrize("name", LAYER_OPTIONS)
@pytest.mark.parametrize("masks", [False, True])
def test_encoder_layer(name, masks):
    def run(torch, device):
        layer = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, 16, **LAYER_OPTIONS[name])
        found = [repr(layer), list(layer.state_dict().items()), layer.activation_relu_or_gelu]
        layer.to(device=device, dtype=torch.float64)
        x = sequence(torch, layer, STEPS, device)
        options = dict(src_mask=causal(torch, STEPS), src_key_padding_mask=padded(
            torch, BATCH, STEPS)) if masks else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            output = layer(x, **to(device, options))
        weighted_sum(torch, output).backward()
        return found + [output, x.grad, [p.grad for p in layer.parameters()], torch.rand(2)]

    program(run)


@pytest.mark.parametrize("name", LAYER_OPTIONS)
@pytest.mark.parametrize("masks", [False, True])
def test_decoder_layer(name, masks):
    def run(torch, device):
        layer = torch.nn.TransformerDecoderLayer(WIDTH, HEADS, 16, **LAYER_OPTIONS[name])
        found = [repr(layer), list(layer.state_dict().items())]
        layer.to(device=device, dtype=torch.float64)
        x, memory = sequence(torch, layer, STEPS, device), sequence(torch, layer, KEYS, device, 1)
        options = dict(tgt_mask=causal(torch, STEPS), tgt_is_causal=True,
                       memory_key_padding_mask=padded(torch, BATCH, KEYS)) if masks else {}
        output = layer(x, memory, **to(device, options))
        weighted_sum(torch, output).backward()
        return found + [output, x.grad, memory.grad, [p.grad for p in layer.parameters()],
                        torch.rand(2)]

    program(run)


TRANSFORMERS = {
    "plain": dict(dropout=0.0),
    "dropout": dict(dropout=0.2, activation="gelu"),
    "batch_first": dict(batch_first=True, norm_first=True, dropout=0.0),
    "no_bias": dict(bias=False, dropout=0.0),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformer(name):
    def run(torch, device):
        model = torch.nn.Transformer(WIDTH, HEADS, 2, 2, 16, **TRANSFORMERS[name])
        found = [repr(model), list(model.state_dict().items())]
        model.to(device=device, dtype=torch.float64)
        source, target = sequence(torch, model, KEYS, device), sequence(torch, model, STEPS,
                                                                       device, 1)
        for call in ({}, dict(tgt_mask=causal(torch, STEPS)), dict(
                src_key_padding_mask=padded(torch, BATCH, KEYS),
                memory_key_padding_mask=padded(torch, BATCH, KEYS),
                tgt_mask=causal(torch, STEPS), tgt_is_causal=True,
                src_mask=torch.zeros(KEYS, KEYS, dtype=torch.bool))):
            model.zero_grad()
            source.grad = target.grad = None
            output = model(source, target, **to(device, call))
            weighted_sum(torch, output).backward()
            found += [output, source.grad, target.grad, [p.grad for p in model.parameters()]]
        return found + [torch.rand(2)]

    program(run, rtol=1e-11)


@pytest.mark.filterwarnings("ignore")
def test_stacks_without_a_batch():
    def run(torch, device):
        model = torch.nn.Transformer(WIDTH, HEADS, 1, 2, 16, dropout=0.0).double().to(device)
        source = numbers(torch, (KEYS, WIDTH), device)
        target = numbers(torch, (STEPS, WIDTH), device, seed=1)
        return model(source, target), model(source, target, tgt_mask=causal(
            torch, STEPS).to(device))

    program(run)


@pytest.mark.filterwarnings("ignore")
def test_layers_of_a_stack_start_equal_and_go_their_own_ways():
    def run(torch):
        layer = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, 16)
        encoder = torch.nn.TransformerEncoder(layer, 3, torch.nn.LayerNorm(WIDTH))
        model = torch.nn.Transformer(WIDTH, HEADS, 1, 1, 16, custom_encoder=encoder)
        return list(model.state_dict().items()), encoder.layers[0] is layer, torch.rand(2)

    program(run)


@pytest.mark.parametrize("size", [1, 4])
def test_square_mask(size):
    program(lambda torch: [
        torch.nn.Transformer.generate_square_subsequent_mask(size),
        torch.nn.Transformer.generate_square_subsequent_mask(size, dtype=torch.float64)])


def test_causality_is_noticed():
    """The stack hands `is_causal` on: given, or read off the mask."""
    def run(torch):
        seen = []

        class Layer(torch.nn.TransformerEncoderLayer):
            def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=None):
                seen.append(is_causal)
                return src

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encoder = torch.nn.TransformerEncoder(Layer(WIDTH, HEADS, 16), 1)
        x, mask = torch.ones(STEPS, BATCH, WIDTH), causal(torch, STEPS, "float32")
        for given, hint in ((None, None), (mask, None), (mask, False), (mask, True),
                            (mask.bool(), None), (causal(torch, 3, "float32"), None),
                            (torch.zeros(STEPS, STEPS), None), (None, True)):
            encoder(x, mask=given, is_causal=hint)
        encoder(x[:, 0], mask=mask)
        return seen

    program(run)


@pytest.mark.filterwarnings("ignore")
def test_second_gradients_of_a_decoder_layer():
    """Attention is composed of products and a softmax where its mask wants a gradient."""
    def run(torch, device):
        layer = torch.nn.TransformerDecoderLayer(WIDTH, HEADS, 16, 0.0).double().to(device)
        x, memory = sequence(torch, layer, STEPS, device), sequence(torch, layer, KEYS, device, 1)
        masks = [numbers(torch, (STEPS, n), device, seed=2) for n in (STEPS, KEYS)]
        leaves = [x, memory, *masks, *layer.parameters()]
        loss = weighted_sum(torch, layer(x, memory, tgt_mask=masks[0], memory_mask=masks[1]))
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        return [g.detach() for g in first], second_order(torch, first, leaves)

    program(run, rtol=2e-11)


@pytest.mark.filterwarnings("ignore")
def test_state_dict_exchange():
    theirs, ours = [torch.nn.Transformer(WIDTH, HEADS, 2, 1, 16, dropout=0.0).double()
                    for torch in (reference, candidate())]
    state = {key: candidate().tensor(to_numpy(value)) for key, value in theirs.state_dict().items()}
    assert str(ours.load_state_dict(state)) == "<All keys matched successfully>"
    x, y = [np.random.default_rng(n).standard_normal((STEPS, BATCH, WIDTH)) for n in (0, 1)]
    want = theirs(reference.tensor(x), reference.tensor(y))
    got = ours(candidate().tensor(x), candidate().tensor(y))
    compare(to_numpy(got), to_numpy(want), rtol=1e-11)
    back = {key: reference.tensor(to_numpy(value)) for key, value in ours.state_dict().items()}
    theirs.load_state_dict(back)


def test_a_copy_is_a_layer_of_its_own():
    def run(torch):
        layer = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, 16, 0.0)
        other = copy.deepcopy(layer)
        with torch.no_grad():
            other.linear1.weight.zero_()
        x = torch.ones(STEPS, BATCH, WIDTH)
        return layer(x), other(x), type(other.activation) is type(layer.activation)

    program(run)


# --- warnings and errors -------------------------------------------------------------------------

def encoder_layer(torch, **options):
    return torch.nn.TransformerEncoderLayer(WIDTH, options.pop("heads", HEADS), 16, **options)


WARNINGS = {
    "norm_first": lambda t: t.nn.TransformerEncoder(encoder_layer(t, norm_first=True), 1),
    "batch_first": lambda t: t.nn.TransformerEncoder(encoder_layer(t), 1),
    "bias": lambda t: t.nn.TransformerEncoder(encoder_layer(t, bias=False, batch_first=True), 1),
    "activation": lambda t: t.nn.TransformerEncoder(
        encoder_layer(t, activation=t.nn.functional.silu, batch_first=True), 1),
    "heads": lambda t: t.nn.TransformerEncoder(encoder_layer(t, heads=1, batch_first=True), 1),
    "other_layer": lambda t: t.nn.TransformerEncoder(t.nn.Linear(2, 2), 1),
    "none": lambda t: t.nn.TransformerEncoder(encoder_layer(t, batch_first=True), 1),
    "not_asked": lambda t: t.nn.TransformerEncoder(encoder_layer(t), 1, enable_nested_tensor=False),
    "mixed_masks": lambda t: encoder_layer(t)(
        t.ones(STEPS, BATCH, WIDTH), causal(t, STEPS, "float32"), padded(t, BATCH, STEPS)),
    "mixed_masks_of_attention": lambda t: t.nn.MultiheadAttention(WIDTH, HEADS)(
        *[t.ones(STEPS, BATCH, WIDTH)] * 3, key_padding_mask=padded(t, BATCH, STEPS),
        attn_mask=causal(t, STEPS, "float32")),
    "mixed_masks_of_a_decoder": lambda t: t.nn.TransformerDecoderLayer(WIDTH, HEADS, 16)(
        t.ones(STEPS, BATCH, WIDTH), t.ones(KEYS, BATCH, WIDTH),
        tgt_mask=causal(t, STEPS, "float32"), tgt_key_padding_mask=padded(t, BATCH, STEPS)),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warning(name):
    def run(torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            WARNINGS[name](torch)
        return [str(each.message) for each in caught]

    program(run)


def attend(torch, *shapes, width=WIDTH, heads=HEADS, options=None, **call):
    layer = torch.nn.MultiheadAttention(width, heads, **(options or {}))
    return layer(*[torch.ones(*shape) for shape in shapes], **call)


SAME = [(STEPS, BATCH, WIDTH)] * 3
ERRORS = {
    "heads": lambda t: t.nn.MultiheadAttention(8, 3),
    "no_width": lambda t: t.nn.MultiheadAttention(0, 1),
    "no_heads": lambda t: t.nn.MultiheadAttention(8, 0),
    "query_dims": lambda t: attend(t, (WIDTH,), (WIDTH,), (WIDTH,)),
    "key_dims": lambda t: attend(t, (4, 3, 8), (4, 8), (4, 8)),
    "width": lambda t: attend(t, *[(4, 3, 6)] * 3),
    "value_length": lambda t: attend(t, (4, 3, 8), (5, 3, 8), (6, 3, 8)),
    "key_width": lambda t: attend(t, (4, 3, 8), (5, 3, 8), (5, 3, 8), options=dict(kdim=6)),
    "mask_shape": lambda t: attend(t, *SAME, attn_mask=t.zeros(3, 3)),
    "mask_heads": lambda t: attend(t, *SAME, attn_mask=t.zeros(5, 4, 4)),
    "mask_dims": lambda t: attend(t, *SAME, attn_mask=t.zeros(4)),
    "mask_dtype": lambda t: attend(t, *SAME, attn_mask=t.zeros(4, 4).long()),
    "padding_dtype": lambda t: attend(t, *SAME, key_padding_mask=t.zeros(3, 4).long()),
    "padding_shape": lambda t: attend(t, *SAME, key_padding_mask=t.zeros(3, 5).bool()),
    "padding_dims": lambda t: attend(t, *SAME, key_padding_mask=t.zeros(4).bool()),
    "causal_without_mask": lambda t: attend(t, *SAME, is_causal=True),
    "activation": lambda t: encoder_layer(t, activation="tanh"),
    "encoder_mask": lambda t: encoder_layer(t)(t.ones(4, 3, 8), t.zeros(4, 4).long()),
    "encoder_padding": lambda t: encoder_layer(t)(
        t.ones(4, 3, 8), src_key_padding_mask=t.zeros(3, 4).long()),
    "transformer_batch": lambda t: t.nn.Transformer(8, 2, 1, 1, 16)(
        t.ones(4, 3, 8), t.ones(4, 2, 8)),
    "transformer_batch_first": lambda t: t.nn.Transformer(8, 2, 1, 1, 16, batch_first=True)(
        t.ones(4, 3, 8), t.ones(3, 3, 8)),
    "transformer_width": lambda t: t.nn.Transformer(8, 2, 1, 1, 16)(
        t.ones(4, 3, 6), t.ones(4, 3, 8)),
    "no_layers": lambda t: t.nn.TransformerDecoder(
        t.nn.TransformerDecoderLayer(8, 2), 0)(t.ones(4, 3, 8), t.ones(4, 3, 8)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], ERRORS[name])


# --- scaled dot product attention ----------------------------------------------------------------

HEADED = [(2, 4, 5, 6), (2, 4, 7, 6), (2, 4, 7, 6)]


@pytest.mark.parametrize("options", [
    {}, dict(is_causal=True), dict(scale=0.3), dict(scale=-0.3), dict(dropout_p=0.4),
    dict(dropout_p=1.0), dict(is_causal=True, dropout_p=0.2)], ids=str)
def test_scaled_dot_product(options):
    attention = lambda lib, q, k, v: lib.nn.functional.scaled_dot_product_attention(
        q, k, v, **options)
    one_op = not options.get("dropout_p")  # which has no second derivative, in torch either
    check(HEADED, attention, random=True, second=not one_op, noncontiguous=False, same_graph=True)
    check([shape[1:] for shape in HEADED], attention, random=True)


@pytest.mark.parametrize("mask", [(5, 7), (2, 4, 5, 7), (1, 1, 5, 7), (2, 1, 1, 7)], ids=str)
def test_scaled_dot_product_with_masks(mask):
    attention = lambda lib, q, k, v, m: lib.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=m)
    check([*HEADED, mask], attention)  # a mask that requires a gradient
    rows = np.random.default_rng(0).random(mask) < 0.7
    rows[..., 0, :] = False  # a query that sees nothing
    check([*HEADED, rows], attention, second=False, noncontiguous=False)


@pytest.mark.parametrize("dropout_p", [0.0, 0.3])
def test_scaled_dot_product_of_grouped_queries(dropout_p):
    shapes = [(2, 4, 5, 6), (2, 2, 7, 6), (2, 2, 7, 6)]
    check(shapes, lambda lib, q, k, v: lib.nn.functional.scaled_dot_product_attention(
        q, k, v, dropout_p=dropout_p, enable_gqa=True), second=bool(dropout_p), random=True,
        noncontiguous=False)


@pytest.mark.parametrize("large", [0.0, 80.0, 1e4])
def test_scaled_dot_product_of_large_scores(large):
    """Scores far apart from row to row: each row has its own largest."""
    rng = np.random.default_rng(0)
    q, k, v = [rng.standard_normal(shape) for shape in HEADED]
    q[:, :, 0] += large
    q[:, :, 1] -= large
    check([q, k, v], lambda lib, q, k, v: lib.nn.functional.scaled_dot_product_attention(q, k, v),
          second=False, dtypes=["float64"], rtol=1e-9 if large else None, noncontiguous=False)


def test_mathematics_of_attention():
    """Against the formula, written out."""
    lib = candidate()
    q, k, v = [lib.tensor(np.random.default_rng(i).standard_normal(shape))
               for i, shape in enumerate(HEADED)]
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    want = scores.softmax(-1) @ v
    got = lib.nn.functional.scaled_dot_product_attention(q, k, v)
    compare(to_numpy(got), to_numpy(want))
