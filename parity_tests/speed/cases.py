"""What is timed. A case takes the library, prepares, and returns the step to be timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity_tests.speed.models import MODELS
from parity_tests.speed.pictures import PICTURES

CHAIN_LENGTH = 100
FOUR = [0.5, -1.0, 2.0, 0.1]


def chain_constants(lib: Any) -> Callable:
    """100 mul/add on 4 elements with constant tensors, forward and backward."""
    x = lib.tensor(FOUR, requires_grad=True)
    factor, shift = lib.tensor([1.01] * 4), lib.tensor([0.1] * 4)

    def step():
        x.grad = None
        y = x
        for _ in range(CHAIN_LENGTH // 2):
            y = y * factor + shift
        y.sum().backward()

    return step


def chain_scalars(lib: Any) -> Callable:
    """100 mul/add on 4 elements with Python numbers, forward and backward."""
    x = lib.tensor(FOUR, requires_grad=True)

    def step():
        x.grad = None
        y = x
        for _ in range(CHAIN_LENGTH // 2):
            y = y * 1.01 + 0.1
        y.sum().backward()

    return step


def chain_leaves(lib: Any) -> Callable:
    """100 mul/add on 4 elements with two leaf parameters, forward and backward."""
    x, factor, shift = (lib.tensor(FOUR, requires_grad=True) for _ in range(3))

    def step():
        x.grad = factor.grad = shift.grad = None
        y = x
        for _ in range(CHAIN_LENGTH // 2):
            y = y * factor + shift
        y.sum().backward()

    return step


def _mlp(lib: Any) -> Any:
    nn = lib.nn
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
                         nn.Linear(256, 10))


def mlp_step(lib: Any) -> Callable:
    """A training step of a 784-256-256-10 perceptron, batch 64, SGD with momentum."""
    model = _mlp(lib)
    optimizer = lib.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    x, target = lib.randn(64, 784), lib.randint(0, 10, (64,))

    def step():
        optimizer.zero_grad()
        lib.nn.functional.cross_entropy(model(x), target).backward()
        optimizer.step()

    return step


def transformer_step(lib: Any) -> Callable:
    """Forward and backward of a causal transformer block: batch 8, 64 tokens, 128 wide, 4 heads."""
    nn, batch, tokens, width, heads = lib.nn, 8, 64, 128, 4

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            q, k, v = (part.view(batch, tokens, heads, -1).transpose(1, 2)
                       for part in self.qkv(self.norm1(x)).split(width, dim=2))
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
            return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))

    model = Block()
    x = lib.randn(batch, tokens, width)

    def step():
        model.zero_grad()
        model(x).sum().backward()

    return step


def adamw_step(lib: Any) -> Callable:
    """An AdamW step alone, on the perceptron's 270 thousand parameters."""
    model = _mlp(lib)
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-4)
    for parameter in model.parameters():
        parameter.grad = lib.randn(parameter.shape)
    return optimizer.step


def adamw_step_of_50(lib: Any) -> Callable:
    """An AdamW step alone, on 2 million parameters in 50 tensors."""
    parameters = [lib.randn(200, 200, requires_grad=True) for _ in range(50)]
    optimizer = lib.optim.AdamW(parameters, lr=1e-4)
    for parameter in parameters:
        parameter.grad = lib.randn(parameter.shape)
    return optimizer.step


def _square(lib: Any, fn: Callable) -> Callable:
    """Forward and backward of `fn` on 1024x1024, with a cotangent of the result's shape."""
    x = lib.randn(1024, 1024, requires_grad=True)
    cotangent = lib.randn(fn(x).shape)

    def step():
        x.grad = None
        fn(x).backward(cotangent)

    return step


def softmax(lib: Any) -> Callable:
    """softmax of 1024x1024, forward and backward."""
    return _square(lib, lambda x: lib.nn.functional.softmax(x, dim=-1))


def layer_norm(lib: Any) -> Callable:
    """layer_norm of 1024x1024 with weight and bias, forward and backward."""
    weight, bias = lib.ones(1024, requires_grad=True), lib.zeros(1024, requires_grad=True)
    return _square(lib, lambda x: lib.nn.functional.layer_norm(x, (1024,), weight, bias))


def gelu(lib: Any) -> Callable:
    """gelu of 1024x1024, forward and backward."""
    return _square(lib, lambda x: lib.nn.functional.gelu(x))


def cross_entropy(lib: Any) -> Callable:
    """cross_entropy of 1024 rows and 1024 classes, forward and backward."""
    target = lib.randint(0, 1024, (1024,))
    return _square(lib, lambda x: lib.nn.functional.cross_entropy(x, target))


def data_epoch(lib: Any) -> Callable:
    """An epoch over 60,000 shuffled samples of a TensorDataset in batches of 64."""
    data = lib.utils.data.TensorDataset(lib.randn(60_000, 28), lib.randint(0, 10, (60_000,)))
    loader = lib.utils.data.DataLoader(data, batch_size=64, shuffle=True)

    def step():
        for _ in loader:
            pass

    return step


CASES: dict[str, Callable[[Any], Callable]] = {
    case.__name__: case for case in (
        chain_constants, chain_scalars, chain_leaves, mlp_step, transformer_step, adamw_step,
        adamw_step_of_50, softmax, layer_norm, gelu, cross_entropy, data_epoch,
    )
} | MODELS | PICTURES
