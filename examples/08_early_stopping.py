"""Early stopping: keep the best model so far, and go when waiting has become pointless.

You will see a net that is far too big for twelve noisy points: its training loss only falls, its
validation loss turns around, and the stopper brings back the weights of the turning point.
"""

import copy

import torch
from torch import nn


class EarlyStopping:
    """Stop once the loss has not fallen by `least` for `patience` rounds in a row."""

    def __init__(self, patience, least=1e-3):
        self.patience, self.least = patience, least
        self.best, self.state, self.waited = float("inf"), None, 0

    def should_stop(self, loss, model):
        if loss < self.best - self.least:
            self.best, self.waited = loss, 0
            self.state = copy.deepcopy(model.state_dict())  # a copy: training goes on writing
        else:
            self.waited += 1
        return self.waited >= self.patience


def points(count):
    x = torch.rand(count, 1) * 6 - 3
    return x, x.sin() + 0.3 * torch.randn(count, 1)


torch.manual_seed(1)
(x, y), (x_new, y_new) = points(12), points(60)
model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
stopper = EarlyStopping(patience=5)

for round_number in range(100):
    model.train()
    for _ in range(20):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = nn.functional.mse_loss(model(x_new), y_new).item()
    print(f"round {round_number}: training {loss.item():.4f}, validation {found:.4f}")
    if stopper.should_stop(found, model):
        break

print(f"stopped; the best validation loss was {stopper.best:.4f}")
model.load_state_dict(stopper.state)
with torch.no_grad():
    print(f"and is again: {nn.functional.mse_loss(model(x_new), y_new):.4f}")
