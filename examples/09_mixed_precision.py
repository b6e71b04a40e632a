"""A learning rate that warms up and cools down, products in 16 bits, gradients scaled and clipped.

`autocast` runs the matrix products in bfloat16 and leaves the rest in float32; the parameters, and
so their gradients, stay float32. `GradScaler` multiplies the loss, so that no gradient vanishes,
and leaves out a step whose gradients overflow. Two schedules follow each other.
"""

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

torch.manual_seed(0)

# Points in two interleaved spirals.
angle = torch.rand(400) * 5
label = torch.arange(400) % 2
radius = angle
turn = angle + label * torch.pi
points = torch.stack([radius * turn.cos(), radius * turn.sin()], dim=1)

model = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
average = AveragedModel(model, avg_fn=get_ema_avg_fn(0.9))
optimizer = AdamW(model.parameters(), lr=0.02)
schedule = SequentialLR(optimizer, [LinearLR(optimizer, 0.1, total_iters=10),
                                    CosineAnnealingLR(optimizer, 50)], milestones=[10])
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=20)

for step in range(60):
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(points)
        loss = nn.functional.cross_entropy(output, label)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    schedule.step()
    average.update_parameters(model)
    if step % 10 == 9:
        print(f"step {step + 1:2}  loss {loss.item():.2f}  rate {schedule.get_last_lr()[0]:.4f}  "
              f"scale {scaler.get_scale():.0f}")

print("the products are", output.dtype, "- the loss is", loss.dtype)
print("the weights are", model[0].weight.dtype, "- their gradients", model[0].weight.grad.dtype)
with torch.no_grad():
    print("the averaged model is right for",
          f"{(average(points).argmax(1) == label).float().mean().item():.2f} of the points")
