"""A GPT that learns, character by character, to write like Python's own standard library.

The whole of it: reading the text, a Transformer with a causal mask, training, and writing on.
"""

import bisect
import heapq
import textwrap
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS, LAYERS, CONTEXT, BATCH, STEPS = 32, 4, 2, 32, 8, 80

text = "".join(Path(module.__file__).read_text() for module in (heapq, bisect, textwrap))
symbols = sorted(set(text))
number = {symbol: i for i, symbol in enumerate(symbols)}
data = torch.tensor([number[symbol] for symbol in text])


class GPT(nn.Module):
    """Embeddings of characters and places, blocks of causal attention, a score per character."""

    def __init__(self):
        super().__init__()
        self.symbols = nn.Embedding(len(symbols), WIDTH)
        self.places = nn.Embedding(CONTEXT, WIDTH)
        block = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout=0.1, activation="gelu",
                                           batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, LAYERS, nn.LayerNorm(WIDTH),
                                            enable_nested_tensor=False)
        self.scores = nn.Linear(WIDTH, len(symbols), bias=False)

    def forward(self, ids):
        length = ids.shape[1]
        x = self.symbols(ids) + self.places(torch.arange(length))
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        return self.scores(self.blocks(x, mask=mask, is_causal=True))


def draw_batch():
    """Stretches of the text, and the same one character on: what is to be said at each place."""
    starts = torch.randint(len(data) - CONTEXT, (BATCH,)).tolist()
    stretches = torch.stack([data[start:start + CONTEXT + 1] for start in starts])
    return stretches[:, :-1], stretches[:, 1:]


@torch.no_grad()
def write(model, prompt, length):
    """Go on from `prompt`, each character the likeliest."""
    ids = torch.tensor([[number[symbol] for symbol in prompt]])
    for _ in range(length):
        following = model(ids[:, -CONTEXT:])[:, -1].argmax(-1, keepdim=True)
        ids = torch.cat([ids, following], dim=1)
    return "".join(symbols[i] for i in ids[0].tolist())


torch.manual_seed(0)
model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
print(f"{len(text)} characters, {len(symbols)} of them different, "
      f"{sum(p.numel() for p in model.parameters())} parameters")
for step in range(STEPS):
    ids, targets = draw_batch()
    loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 10 == 0 or step == STEPS - 1:
        print(f"step {step:3}  loss {loss.item():.4f}")
model.eval()
print(repr(write(model, "def ", 12)))
