"""An LSTM reads Python's standard library from start to end and guesses each next character.

Its state goes on from one stretch of text to the next; the gradient does not (`detach`).
"""

import bisect
import heapq
import textwrap
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, LAYERS, BATCH, LENGTH, STEPS = 48, 2, 16, 24, 50

text = "".join(Path(module.__file__).read_text() for module in (heapq, bisect, textwrap))
symbols = sorted(set(text))
number = {symbol: i for i, symbol in enumerate(symbols)}
# BATCH columns, each a part of the text from top to bottom.
column = len(text) // BATCH
data = torch.tensor([number[symbol] for symbol in text[:BATCH * column]]).view(BATCH, column).t()


class Reader(nn.Module):
    """Embeddings, an LSTM of two layers with dropout between them, a score per character."""

    def __init__(self):
        super().__init__()
        self.symbols = nn.Embedding(len(symbols), WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, LAYERS, dropout=0.1)
        self.scores = nn.Linear(WIDTH, len(symbols))

    def forward(self, ids, state=None):
        output, state = self.lstm(self.symbols(ids), state)
        return self.scores(output), state


@torch.no_grad()
def write(model, prompt, length):
    """Go on from `prompt`, each character the likeliest; the state remembers what was before."""
    ids, state, written = torch.tensor([[number[symbol]] for symbol in prompt]), None, prompt
    for _ in range(length):
        scores, state = model(ids, state)
        ids = scores[-1:].argmax(-1)
        written += symbols[ids.item()]
    return written


torch.manual_seed(0)
model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
print(model)
state = None
for step in range(STEPS):
    start = step * LENGTH % (column - LENGTH)
    ids, targets = data[start:start + LENGTH], data[start + 1:start + LENGTH + 1]
    scores, state = model(ids, state)
    state = tuple(each.detach() for each in state)
    loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 10 == 0 or step == STEPS - 1:
        print(f"step {step:3}  loss {loss.item():.4f}")
model.eval()
print(repr(write(model, "def ", 12)))
