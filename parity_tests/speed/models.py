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
            self.maps = nn.Sequential(
                nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.MaxPool2d(2),
                nn.Conv2d(6, 16, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten())
            self.head = nn.Sequential(nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84),
                                      nn.Tanh(), nn.Linear(84, 10))

        def forward(self, x):
            return self.head(self.maps(x))

    x, target = lib.randn(64, 1, 28, 28), lib.randint(0, 10, (64,))
    return _step(lib, LeNet(), lambda model: F.cross_entropy(model(x), target))


def resnet_step(lib: Any) -> Callable:
    """A training step of a residual network of three stages (16, 32, 64) on 32 images of 32x32."""
    nn, F = lib.nn, lib.nn.functional

    class Block(nn.Module):
        def __init__(self, channels_in, channels, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
            self.short = nn.Identity() if stride == 1 else nn.Conv2d(
                channels_in, channels, 1, stride, bias=False)

        def forward(self, x):
            y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
            return (y + self.short(x)).relu()

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False),
                                      nn.BatchNorm2d(16), nn.ReLU())
            self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            return self.head(self.blocks(self.stem(x)).mean((2, 3)))

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
