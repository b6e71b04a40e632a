"""Modules are boxes in boxes: a Transformer block from small parts, and how to start its numbers.

You will see attention written out, a block that is blind to the future, what a module knows about
its parts; and why the scale of the first random numbers decides whether a deep net can learn.
"""

import math

import torch
from torch import nn


class Head(nn.Module):
    """softmax(Q K^T / sqrt(width)) V: every word asks, every word answers."""

    def __init__(self, d_model, width):
        super().__init__()
        self.query = nn.Linear(d_model, width, bias=False)
        self.key = nn.Linear(d_model, width, bias=False)
        self.value = nn.Linear(d_model, width, bias=False)

    def forward(self, x):
        length, width = x.shape[-2], self.query.out_features
        scores = self.query(x) @ self.key(x).mT / math.sqrt(width)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        return scores.masked_fill(future, -math.inf).softmax(dim=-1) @ self.value(x)


class Block(nn.Module):
    def __init__(self, d_model, heads, dropout=0.1):
        super().__init__()
        # A plain list would hide the heads: no parameters(), no to(), no state_dict().
        self.heads = nn.ModuleList([Head(d_model, d_model // heads) for _ in range(heads)])
        self.join = nn.Linear(d_model, d_model)
        self.norms = nn.ModuleList([nn.LayerNorm(d_model), nn.LayerNorm(d_model)])
        self.think = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.ReLU(),
                                   nn.Dropout(dropout), nn.Linear(4 * d_model, d_model))

    def forward(self, x):
        joined = self.join(torch.cat([head(x) for head in self.heads], dim=-1))
        x = self.norms[0](x + joined)
        return self.norms[1](x + self.think(x))


torch.manual_seed(4)
block = Block(d_model=16, heads=4)
print(block.heads[0])
for name, part in block.named_children():
    print(f"{name:6} {sum(p.numel() for p in part.parameters()):5} numbers")
print("first names in state_dict:", list(block.state_dict())[:3])

print("\n--- train() and eval(): dropout is for training only")
sentence = torch.randn(1, 6, 16)
print("equal twice in training:", torch.equal(block(sentence), block(sentence)))
block.eval()
print("equal twice afterwards: ", torch.equal(block(sentence), block(sentence)))

print("\n--- Change the word at place 3; which places notice?")
changed = sentence.clone()
changed[0, 3] += 1.0
difference = (block(changed) - block(sentence)).abs().amax(dim=-1)[0]
print([round(d, 3) for d in difference.tolist()])  # none before place 3: the future is masked

print("\n--- How loud is the signal in layers 1, 10 and 20? (ReLU, width 100)")
STARTS = {
    "all zero": nn.init.zeros_,  # dead, and the gradient is dead with it
    "normal, 0.01": lambda w: nn.init.normal_(w, std=0.01),
    "Xavier": nn.init.xavier_normal_,  # keeps a linear layer's loudness; ReLU halves it
    "He": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),  # so He doubles it again
}
for name, start in STARTS.items():
    torch.manual_seed(5)
    deep = nn.Sequential(*[nn.Sequential(nn.Linear(100, 100, bias=False), nn.ReLU())
                           for _ in range(20)])
    loudness = []
    for layer in deep:
        start(layer[0].weight)
        layer.register_forward_hook(lambda m, i, out, l=loudness: l.append(out.std().item()))
    deep(torch.randn(200, 100))
    print(f"{name:13}" + "".join(f"{loudness[i]:14.4g}" for i in (0, 9, 19)))
