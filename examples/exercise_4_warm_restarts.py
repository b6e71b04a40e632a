"""Exercise 4: a learning rate that warms up, falls along a cosine, and starts again (SGDR).

After a linear warm-up come cycles of growing length; each falls from the top to almost nothing,
then the rate jumps back up, so that the search leaves the valley it is in. The same curve is built
twice: as a function for LambdaLR, and from the schedulers that PyTorch has.
"""

import math

import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    LambdaLR,
    LinearLR,
    SequentialLR,
)

WARM_UP, FIRST, GROWTH, BOTTOM = 5, 10, 2, 0.01


def factor(step):
    """What the learning rate is multiplied by at this step."""
    if step < WARM_UP:
        return 0.1 + 0.9 * step / WARM_UP
    step, length = step - WARM_UP, FIRST
    while step >= length:  # the cycles before this one
        step, length = step - length, length * GROWTH
    return BOTTOM + (1 - BOTTOM) * 0.5 * (1 + math.cos(math.pi * step / length))


def rates(make, steps):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    schedule = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def composed(optimizer):
    warm_up = LinearLR(optimizer, start_factor=0.1, total_iters=WARM_UP)
    restarts = CosineAnnealingWarmRestarts(optimizer, FIRST, GROWTH, eta_min=0.1 * BOTTOM)
    return SequentialLR(optimizer, [warm_up, restarts], milestones=[WARM_UP])


ours = rates(lambda optimizer: LambdaLR(optimizer, factor), 75)
theirs = rates(composed, 75)
for step in range(0, 75, 3):
    print(f"{step:3} {ours[step]:.5f} {'#' * round(400 * ours[step])}")
print("restarts at steps", [step for step in range(WARM_UP + 1, 75) if ours[step] > ours[step - 1]])
print("composed from PyTorch's own:",
      all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(ours, theirs, strict=True)))
