"""What to do with gradients between backward() and step(): clip, gather, watch, recompute.

You will see a gradient explode in a recurrent loop and be tamed; a big batch replaced by small
ones; hooks that look at a gradient as it passes; and checkpointing, which forgets and computes
again.
"""

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.checkpoint import checkpoint


def heading(text):
    print(f"\n--- {text}")


heading("A loop multiplies its gradient in every round")
torch.manual_seed(2)
start = torch.randn(8)
shift = torch.eye(8).roll(1, dims=0)  # only passes numbers around: neither grows nor shrinks
for gain in [0.8, 1.0, 1.2]:
    loop = (gain * shift).requires_grad_()
    state = start
    for _ in range(30):
        state = loop @ state
    state.sum().backward()
    print(f"gain {gain}: the gradient's norm is {loop.grad.norm().item():.5g}")

heading("Clipping keeps the direction, or keeps each number small")
before = loop.grad.clone()
norm = clip_grad_norm_([loop], max_norm=1.0)
same_way = nn.functional.cosine_similarity(before.flatten(), loop.grad.flatten(), dim=0)
print(f"by norm:  from {norm.item():.5g} to {loop.grad.norm().item():.4f},"
      f" cosine with before {same_way.item():.4f}")
loop.grad.copy_(before)
clip_grad_value_([loop], clip_value=1.0)
same_way = nn.functional.cosine_similarity(before.flatten(), loop.grad.flatten(), dim=0)
print(f"by value: largest is {loop.grad.abs().max().item():.4f},"
      f" cosine with before {same_way.item():.4f}")  # it now points somewhere else

heading("Four small batches add up to a big one")
model = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Dropout(0.0), nn.Linear(20, 1))
data, target = torch.randn(32, 10), torch.randn(32, 1)
nn.functional.mse_loss(model(data), target).backward()
whole = [p.grad.clone() for p in model.parameters()]
model.zero_grad()
for part, aim in zip(data.chunk(4), target.chunk(4), strict=True):
    # Each part's loss is a mean over 8, ours a mean over 32: hence the quarter.
    (nn.functional.mse_loss(model(part), aim) / 4).backward()
print("same gradients:", all(torch.allclose(a, p.grad, atol=1e-6)
                             for a, p in zip(whole, model.parameters(), strict=True)))

heading("A hook sees the gradient pass, and may change it")
x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
middle = x * 10
middle.register_hook(lambda g: print("passing:", g))
middle.register_hook(lambda g: g.clamp(max=4))  # clipping, but in the middle of the walk
(middle * torch.tensor([1.0, 5.0, 9.0])).sum().backward()
print("arrives:", x.grad)

heading("Checkpointing: forget on the way forward, compute again on the way back")
calls = []
layers = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.2))
                       for _ in range(6))
for number, layer in enumerate(layers):
    layer.register_forward_pre_hook(lambda module, args, number=number: calls.append(number))
gradients = []
for forgetful in [False, True]:
    torch.manual_seed(3)  # dropout must drop the same; checkpoint itself takes care of that, too
    layers.zero_grad()
    calls.clear()
    state = torch.ones(4, 16, requires_grad=True)
    for layer in layers:
        state = checkpoint(layer, state, use_reentrant=False) if forgetful else layer(state)
    state.sum().backward()
    print("layers were computed in the order", calls)
    gradients.append(layers[0][0].weight.grad.clone())
print("same gradients:", torch.equal(*gradients), f"{gradients[0].norm().item():.5f}")
