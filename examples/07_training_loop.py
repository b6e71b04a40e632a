"""A whole training: data in shuffled batches, AdamW in two groups, warm-up, clipping, validation.

You will see every part of a training loop at work on two interleaved spirals, and what a state_dict
is for: the training is interrupted, a new model and optimizer take over from what was kept, and
nobody can tell.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def spirals(count):
    turn = torch.linspace(0.5, 2.5, count) * math.pi
    one = torch.stack([turn * turn.cos(), turn * turn.sin()], dim=1) / 10
    points = torch.cat([one, -one]) + 0.03 * torch.randn(2 * count, 2)
    return TensorDataset(points, torch.arange(2).repeat_interleave(count))


class Net(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.LayerNorm(width),
                                    nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2))

    def forward(self, points):
        return self.layers(points)


def new_training():
    model = Net()
    decayed = [p for p in model.parameters() if p.dim() > 1]  # biases and norms need no decay
    free = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.05},
                                   {"params": free, "weight_decay": 0.0}], lr=0.02)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 20, 0.5 * (1 + math.cos(step / 400 * math.pi))))
    return model, optimizer, schedule


def train(model, optimizer, schedule, loader, epochs):
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for points, labels in loader:
            loss = F.cross_entropy(model(points), labels, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        if epoch % 5 == 4:
            print(f"mean loss {total / len(loader):.4f}, last gradient norm {norm:.3f}, "
                  f"learning rate {schedule.get_last_lr()[0]:.5f}")


torch.manual_seed(0)
training, validation = random_split(spirals(100), [160, 40])
loader = DataLoader(training, batch_size=16, shuffle=True)
parts = new_training()
train(*parts, loader, epochs=20)

print("interrupted: everything that is needed goes into dictionaries, and out of them again")
kept = [part.state_dict() for part in parts]
parts = new_training()
for part, state in zip(parts, kept, strict=True):
    part.load_state_dict(state)
train(*parts, loader, epochs=20)

model = parts[0].eval()
with torch.no_grad():
    points, labels = next(iter(DataLoader(validation, batch_size=len(validation))))
    right = (model(points).argmax(dim=1) == labels).sum()
print(f"right on unseen points: {right} of {len(validation)}")
