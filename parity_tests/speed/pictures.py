"""Pictures of graphs: both libraries' are drawn by minigrad.viz."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def gpt(torch: Any, blocks: int = 12, width: int = 16, heads: int = 2) -> tuple[Any, Any]:
    """A small GPT of the usual make, and what to call it with."""
    nn = torch.nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (each.view(b, t, heads, c // heads).transpose(1, 2)
                       for each in self.qkv(x).split(c, 2))
            weights = ((q @ k.transpose(-2, -1)) * (c // heads) ** -0.5).softmax(-1)
            return self.out((weights @ v).transpose(1, 2).reshape(b, t, c))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.attention = nn.LayerNorm(width), Attention()
            self.norm2 = nn.LayerNorm(width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(),
                                     nn.Linear(4 * width, width))

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(11, width)
            self.blocks = nn.ModuleList([Block() for _ in range(blocks)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 11, bias=False)

        def forward(self, indices):
            x = self.tokens(indices)
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    return GPT(), torch.arange(10).reshape(2, 5)


def deep_gpt(torch: Any) -> tuple[Any, Any]:
    """The same with 3,000 ops."""
    return gpt(torch, blocks=61)


def picture_folded(lib: Any) -> Callable:
    """Forward of a GPT with 3,000 ops, drawn by module, as SVG."""
    from minigrad import viz

    model, indices = deep_gpt(lib)
    return lambda: viz.draw(model, indices, depth=1).pipe("svg")


def picture_text(lib: Any) -> Callable:
    """The DOT text of a graph of 10,000 nodes."""
    from minigrad import viz

    y = x = lib.ones(1, requires_grad=True)
    for _ in range(10_000):
        y = y * x
    return lambda: viz.draw(y, max_nodes=None).source


PICTURES: dict[str, Callable[[Any], Callable]] = {
    case.__name__: case for case in (picture_folded, picture_text)}
