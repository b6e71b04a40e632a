"""Whole programs: models trained for ten steps, autocast, checkpointing, saving, and padding."""

from __future__ import annotations

import io
import math
import pickle

import numpy as np
import pytest

from parity_tests.harness import candidate, check, check_error, program


def data(torch, device, count=24, features=6, classes=5):
    rng = np.random.default_rng(7)
    x = torch.tensor(rng.standard_normal((count, features)), dtype=torch.float32)
    y = torch.tensor(rng.integers(0, classes, count))
    return x.to(device), y.to(device)


def mlp(torch):
    # no bias before a batch norm: its gradient is noise, from which Adam takes full steps
    nn = torch.nn
    return nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(0.2),
                         nn.Linear(16, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(),
                         nn.Dropout(0.1), nn.Linear(16, 5))


def transformer(torch, vocabulary=11, width=12, heads=3, length=7, layers=2, dropout=0.1):
    """A small language model in the manner of nanoGPT."""
    nn, F = torch.nn, torch.nn.functional

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width, bias=False)
            self.out = nn.Linear(width, width)
            self.drop = nn.Dropout(dropout)
            self.register_buffer("mask", torch.tril(torch.ones(length, length)).bool())

        def forward(self, x):
            batch, time, _ = x.shape
            q, k, v = (part.view(batch, time, heads, width // heads).transpose(1, 2)
                       for part in self.qkv(x).chunk(3, dim=-1))
            scores = (q @ k.transpose(-2, -1)) / math.sqrt(width // heads)
            scores = scores.masked_fill(~self.mask[:time, :time], float("-inf"))
            mixed = self.drop(F.softmax(scores, dim=-1)) @ v
            return self.out(mixed.transpose(1, 2).contiguous().view(batch, time, width))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = Attention()
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(),
                                     nn.Linear(4 * width, width), nn.Dropout(dropout))

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, width)
            self.positions = nn.Embedding(length, width)
            self.blocks = nn.ModuleList([Block() for _ in range(layers)])
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, vocabulary, bias=False)
            self.head.weight = self.tokens.weight
            self.apply(self.start)

        def start(self, module):
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, 0.0, 0.02)

        def forward(self, ids):
            x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    return Transformer()


def train(torch, model, batches, loss_of, steps=10):
    decay = [p for p in model.parameters() if p.dim() >= 2]
    rest = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1},
                                   {"params": rest, "weight_decay": 0.0}], lr=3e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min(1.0, (t + 1) / 4))
    losses, norms = [], []
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, batches[step % len(batches)])
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses, norms, schedule.get_last_lr()


def test_mlp():
    def run(torch, device):
        model = mlp(torch).to(device)
        x, y = data(torch, device)
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(x, y), batch_size=8, shuffle=True)
        criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
        found = train(torch, model, list(loader), lambda m, batch: criterion(m(batch[0]), batch[1]))
        model.eval()
        with torch.no_grad():
            accuracy = (model(x).argmax(1) == y).float().mean()
        return found, accuracy, model(x)

    program(run, rtol=1e-5, atol=1e-5)


def test_transformer():
    def run(torch, device):
        model = transformer(torch).to(device)
        ids = torch.randint(0, 11, (4, 8)).to(device)
        x, y = ids[:, :-1], ids[:, 1:]
        loss_of = lambda m, batch: torch.nn.functional.cross_entropy(
            m(batch).reshape(-1, 11), y.reshape(-1), label_smoothing=0.05)
        found = train(torch, model, [x], loss_of)
        model.eval()
        with torch.no_grad():
            logits = model(x)[:, -1]
            drawn = torch.multinomial(torch.softmax(logits.cpu(), -1), 3)
        return repr(model), found, logits, drawn, sum(p.numel() for p in model.parameters())

    program(run, rtol=1e-5, atol=1e-5)


def test_gradient_accumulation_equals_one_batch():
    def run(torch, device):
        model = mlp(torch).to(device).eval()
        x, y = data(torch, device)
        for part_x, part_y in zip(x.split(6), y.split(6), strict=True):
            (torch.nn.functional.cross_entropy(model(part_x), part_y) / 4).backward()
        parts = [p.grad.clone() for p in model.parameters()]
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        gaps = [(a - p.grad).abs().max().item() < 1e-6
                for a, p in zip(parts, model.parameters(), strict=True)]
        return parts, gaps

    program(run, rtol=1e-5, atol=1e-6)


def test_frozen_layers_and_no_grad():
    def run(torch, device):
        model = mlp(torch).to(device)
        model[0].requires_grad_(False)
        x, y = data(torch, device)
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            quiet = model(x)
        with torch.inference_mode():
            silent = model.eval()(x)
        return [p.grad for p in model.parameters()], quiet, silent.requires_grad, list(
            model.parameters())

    program(run, rtol=1e-5, atol=1e-5)


# --- autocast ------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_autocast(dtype):
    def run(torch, device):
        # on the GPU autocast has its own list of ops: what is compared is the CPU's
        model, (x, y) = mlp(torch), data(torch, "cpu")
        seen = []
        for module in model:
            module.register_forward_hook(lambda m, args, out: seen.append((type(m).__name__,
                                                                           out.dtype)))
        with torch.autocast("cpu", dtype=getattr(torch, dtype)):
            output = model(x)
            loss = torch.nn.functional.cross_entropy(output, y)
            product = x @ x.t()
            with torch.autocast("cpu", enabled=False):
                plain = x @ x.t()
        loss.backward()
        return (seen, output, loss, product, plain, [p.grad for p in model.parameters()],
                torch.is_autocast_enabled("cpu"))

    program(run, rtol=2e-2, atol=2e-2)


def test_autocast_as_decorator():
    def run(torch):
        x = torch.ones(2, 2)

        @torch.autocast("cpu", dtype=torch.bfloat16)
        def product(a):
            return torch.mm(a, a), a + a, a.sum(), torch.mm(a.double(), a.double())

        return product(x)

    program(run)


# --- checkpointing -------------------------------------------------------------------------------

@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_checkpoint_equals_the_plain_run(reentrant, p):
    def run(torch, device):
        from importlib import import_module

        checkpoint = import_module(f"{torch.__name__}.utils.checkpoint").checkpoint
        nn = torch.nn
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(p), nn.Linear(8, 5)).to(device)
        x, y = data(torch, device)
        found = []
        for wrapped in (False, True):
            torch.manual_seed(1)
            model.zero_grad()
            inputs = x.clone().requires_grad_()
            output = checkpoint(model, inputs, use_reentrant=reentrant) if wrapped \
                else model(inputs)
            torch.nn.functional.cross_entropy(output, y).backward()
            found.append([inputs.grad, *(p.grad.clone() for p in model.parameters()),
                          torch.rand(2)])
        same = all(torch.equal(a, b) for a, b in zip(*found, strict=True))
        return found, same

    program(run)


def test_checkpoint_of_several_and_of_second_order():
    def run(torch, device):
        from importlib import import_module

        tools = import_module(f"{torch.__name__}.utils.checkpoint")
        x = torch.linspace(-1, 1, 6, dtype=torch.float64).to(device).requires_grad_()
        a, b = tools.checkpoint(lambda t, n: (t.sin() * n, t.exp()), x, 3, use_reentrant=False)
        (gradient,) = torch.autograd.grad((a * b).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(gradient.sum(), x)
        chain = torch.nn.Sequential(*(torch.nn.Tanh() for _ in range(5)))
        y = tools.checkpoint_sequential(chain, 2, x, use_reentrant=False)
        (through,) = torch.autograd.grad(y.sum(), x)
        return a, b, gradient, second, y, through

    program(run)


# --- saving --------------------------------------------------------------------------------------

def test_save_and_load():
    def run(torch, device):
        model = mlp(torch).to(device)
        optimizer = torch.optim.AdamW(model.parameters())
        x, y = data(torch, device)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        file = io.BytesIO()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": 3,
                    "names": ("a", None), "dtype": torch.float64, "size": x.shape,
                    "bool": torch.tensor([True]), "half": torch.ones(2, dtype=torch.bfloat16)},
                   file)
        file.seek(0)
        found = torch.load(file, map_location="cpu")
        other = mlp(torch)
        result = other.load_state_dict(found["model"])
        torch.optim.AdamW(other.parameters()).load_state_dict(found["optimizer"])
        model.eval(), other.eval()
        return (found, str(result), torch.equal(model.cpu()(x.cpu()), other(x.cpu())))

    program(run, rtol=1e-5, atol=1e-5)


def test_saved_tensors_keep_their_kind_and_share(tmp_path):
    def run(torch):
        weight = torch.nn.Parameter(torch.arange(4.0))
        tied = {"a": weight, "b": weight, "c": weight.detach(), "d": torch.ones(2, 3).t(),
                "e": torch.ones(1, requires_grad=True), "f": torch.tensor(2 + 1j)}
        path = tmp_path / f"{torch.__name__}.pt"
        torch.save(tied, path)
        found = torch.load(path, weights_only=True)
        with torch.no_grad():
            found["a"].add_(1)
        return (found, type(found["a"]).__name__, found["a"] is found["b"], found["c"],
                found["d"].shape)

    program(run)


def test_load_refuses_code():
    lib, file = candidate(), io.BytesIO()
    lib.save({"model": lib.nn.Linear(1, 1)}, file)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        lib.load(file)
    file.seek(0)
    assert repr(lib.load(file, weights_only=False)["model"]) == repr(lib.nn.Linear(1, 1))


def test_pickled_state_dict():
    def run(torch):
        state = pickle.loads(pickle.dumps(mlp(torch).state_dict()))
        model = mlp(torch)
        return str(model.load_state_dict(state)), state, state._metadata

    program(run)


# --- what models need besides: padding and attention ---------------------------------------------

PADS = [((1, 2), "constant"), ((1, 2, 0, 1), "constant"), ((-1, 2), "constant"),
        ((1, -2, -1, 0), "constant"), ((0, 0), "constant"), ((1, 2), "reflect"),
        ((1, 2, 2, 0), "reflect"), ((1, 2), "replicate"), ((3, 0, 1, 9), "replicate"),
        ((-1, 2), "replicate"), ((1, 2), "circular"), ((2, 0, 3, 1), "circular")]


@pytest.mark.parametrize("case", PADS, ids=str)
def test_pad(case):
    widths, mode = case
    check([(2, 4, 5)], lambda torch, x: torch.nn.functional.pad(x, widths, mode),
          same_graph=mode == "constant")
    if mode == "constant":
        check([(4, 5)], lambda torch, x: torch.nn.functional.pad(x, widths, value=2.5))


@pytest.mark.parametrize("options", [
    {}, {"is_causal": True}, {"scale": 0.3}, {"dropout_p": 0.4}], ids=str)
@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_scaled_dot_product_attention(options, mask):
    if mask and "is_causal" in options:
        return
    allowed = np.random.default_rng(0).random((4, 6)) < 0.7
    allowed[1] = False

    def attend(torch, q, k, v):
        given = None
        if mask == "bool":
            given = torch.tensor(allowed).to(q.device)
        elif mask == "float":
            given = torch.tensor(np.where(allowed, 0.5, -np.inf)).to(q.dtype).to(q.device)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, given, **options)

    check([(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)], attend, random=True,
          second="dropout_p" in options, rtol=None)


ERRORS = {
    "pad_odd": lambda torch, F: F.pad(torch.ones(2), (1,)),
    "pad_long": lambda torch, F: F.pad(torch.ones(2), (1, 1, 1, 1)),
    "pad_cut": lambda torch, F: F.pad(torch.ones(2, 3), (-2, -2)),
    "pad_mode": lambda torch, F: F.pad(torch.ones(2, 3), (1, 1), "mirror"),
    "pad_value": lambda torch, F: F.pad(torch.ones(2, 3), (1, 1), "reflect", 2.0),
    "pad_dims": lambda torch, F: F.pad(torch.ones(2), (1, 1), "replicate"),
    "pad_reflect": lambda torch, F: F.pad(torch.ones(2, 3), (3, 1), "reflect"),
    "pad_circular": lambda torch, F: F.pad(torch.ones(2, 3), (4, 1), "circular"),
    "attention_dtype": lambda torch, F: F.scaled_dot_product_attention(
        torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 3).double()),
    "attention_dims": lambda torch, F: F.scaled_dot_product_attention(
        torch.ones(3), torch.ones(2, 3), torch.ones(2, 3)),
    "attention_mask": lambda torch, F: F.scaled_dot_product_attention(
        torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 2).long()),
    "attention_two_masks": lambda torch, F: F.scaled_dot_product_attention(
        *[torch.ones(1, 2, 3).double()] * 3, torch.ones(2, 2).bool(), is_causal=True),
    "autocast_device": lambda torch, F: torch.autocast("nowhere"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], lambda torch: ERRORS[name](torch, torch.nn.functional))


def test_checkpoint_runs_a_layer_twice():
    """Once forward and once when its values are needed, however many nodes ask for them."""
    def run(torch):
        from_checkpoint = []
        layer = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.LayerNorm(3))
        layer.register_forward_pre_hook(lambda module, args: from_checkpoint.append(len(args)))
        x = torch.ones(2, 3, requires_grad=True)
        checkpoint = __import__(f"{torch.__name__}.utils.checkpoint", fromlist=["checkpoint"])
        checkpoint.checkpoint(layer, x, use_reentrant=False).sum().backward()
        return from_checkpoint, x.grad

    program(run, atol=1e-5)
