"""Exercise 3: a residual MLP of any depth.

Each block adds to what came in, so at the start, where the blocks do next to nothing, the deepest
net is close to the identity and its gradients arrive whole. The plain net of the same depth loses
them on the way.
"""

import torch
from torch import nn


class Block(nn.Module):
    """x + what two layers make of it."""

    def __init__(self, width, dropout):
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(),
                                    nn.Dropout(dropout), nn.Linear(width, width))

    def forward(self, x):
        return x + self.layers(x)


class ResidualMLP(nn.Module):
    def __init__(self, width_in, width, width_out, depth, dropout=0.1):
        super().__init__()
        self.enter = nn.Linear(width_in, width)
        self.blocks = nn.ModuleList([Block(width, dropout) for _ in range(depth)])
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width_out))

    def forward(self, x):
        x = self.enter(x)
        for block in self.blocks:
            x = block(x)
        return self.leave(x)


def plain(width_in, width, width_out, depth):
    inner = [layer for _ in range(2 * depth) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(width_in, width), *inner, nn.Linear(width, width_out))


def gradient_at_the_entrance(model, first):
    model(torch.ones(16, 8)).pow(2).mean().backward()
    return first.weight.grad.norm().item()


for depth in [1, 4, 16]:
    torch.manual_seed(depth)
    residual, straight = ResidualMLP(8, 32, 1, depth), plain(8, 32, 1, depth)
    count = sum(p.numel() for p in residual.parameters())
    print(f"depth {depth:2}: {count} parameters, gradient at the entrance: residual "
          f"{gradient_at_the_entrance(residual, residual.enter):.3e}, plain "
          f"{gradient_at_the_entrance(straight, straight[0]):.3e}")

torch.manual_seed(0)
x = torch.randn(64, 8)
y = (x[:, :1] * x[:, 1:2]).sin()
model = ResidualMLP(8, 32, 1, depth=4)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(81):
    loss = nn.functional.mse_loss(model(x), y)
    if step % 20 == 0:
        print(f"step {step:2}: loss {loss.item():.4f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()
print("in eval mode dropout does nothing:", torch.equal(model(x), model(x)))
