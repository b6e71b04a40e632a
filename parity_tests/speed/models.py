"""Whole models, a training step each: LeNet, a residual network, a GPT, an LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _step(lib: Any, model: Any, loss_of: Callable) -> Callable:
    """Zero the gradients, forward, backward, and AdamW's step."""
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()

    return step


def lenet_step(lib: Any) -> Callable:
    """A training step of LeNet-5 on 64 images of 28x28."""
    nn, F = lib.nn, lib.nn.functional

    class LeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = _Conv(lib, 1, 6, 5), _Conv(lib, 6, 16, 5)
            self.head = nn.Sequential(nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84),
                                      nn.Tanh(), nn.Linear(84, 10))

        def forward(self, x):
            x = F.max_pool2d(self.conv1(x, padding=2).tanh(), 2)
            x = F.max_pool2d(self.conv2(x).tanh(), 2)
            return self.head(x.flatten(1))

    x, target = lib.randn(64, 1, 28, 28), lib.randint(0, 10, (64,))
    return _step(lib, LeNet(), lambda model: F.cross_entropy(model(x), target))


def _Conv(lib: Any, channels_in: int, channels_out: int, size: int) -> Any:
    """A convolution without bias from `conv2d` itself."""
    nn = lib.nn

    class Conv(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(lib.empty(channels_out, channels_in, size, size))
            nn.init.kaiming_normal_(self.weight)

        def forward(self, x, **options):
            return nn.functional.conv2d(x, self.weight, **options)

    return Conv()


def resnet_step(lib: Any) -> Callable:
    """A training step of a residual network of three stages (16, 32, 64) on 32 images of 32x32."""
    nn, F = lib.nn, lib.nn.functional

    class Block(nn.Module):
        def __init__(self, channels_in, channels, stride):
            super().__init__()
            self.conv1 = _Conv(lib, channels_in, channels, 3)
            self.conv2 = _Conv(lib, channels, channels, 3)
            self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
            self.stride = stride
            self.short = _Conv(lib, channels_in, channels, 1) if stride > 1 else None

        def forward(self, x):
            y = self.norm1(self.conv1(x, stride=self.stride, padding=1)).relu()
            y = self.norm2(self.conv2(y, padding=1))
            return (y + (x if self.short is None else self.short(x, stride=self.stride))).relu()

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = _Conv(lib, 3, 16, 3)
            self.norm = nn.BatchNorm2d(16)
            self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            x = self.blocks(self.norm(self.stem(x, padding=1)).relu())
            return self.head(x.mean((2, 3)))

    x, target = lib.randn(32, 3, 32, 32), lib.randint(0, 10, (32,))
    return _step(lib, ResNet(), lambda model: F.cross_entropy(model(x), target))


def gpt_step(lib: Any) -> Callable:
    """A training step of a GPT: 4 layers, 4 heads, 128 wide, 12 texts of 64 characters."""
    nn, F = lib.nn, lib.nn.functional
    width, heads, context, batch, symbols = 128, 4, 64, 12, 65

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            batch, tokens, _ = x.shape
            q, k, v = (part.view(batch, tokens, heads, -1).transpose(1, 2)
                       for part in self.qkv(self.norm1(x)).split(width, dim=2))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(symbols, width), nn.Embedding(context, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols, bias=False)

        def forward(self, ids):
            x = self.tokens(ids) + self.places(lib.arange(ids.shape[1]))
            return self.head(self.norm(self.blocks(x)))

    ids = lib.randint(0, symbols, (batch, context + 1))
    return _step(lib, GPT(), lambda model: F.cross_entropy(
        model(ids[:, :-1]).reshape(-1, symbols), ids[:, 1:].reshape(-1)))


def lstm_step(lib: Any) -> Callable:
    """A training step of a language model: an LSTM of 2 layers, 128 wide, 20 texts of 35 words."""
    nn, F = lib.nn, lib.nn.functional
    width, words, batch, steps = 128, 1000, 20, 35

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.lstm = nn.Embedding(words, width), nn.LSTM(width, width, 2)
            self.head = nn.Linear(width, words)

        def forward(self, ids):
            return self.head(self.lstm(self.words(ids))[0])

    ids = lib.randint(0, words, (steps + 1, batch))
    return _step(lib, Model(), lambda model: F.cross_entropy(
        model(ids[:-1]).reshape(-1, words), ids[1:].reshape(-1)))


MODELS: dict[str, Callable[[Any], Callable]] = {
    case.__name__: case for case in (lenet_step, resnet_step, gpt_step, lstm_step)}
