"""Handwritten digits: a perceptron and a small Transformer, trained with all that a training needs.

1,797 images of 8 x 8 pixels (data/ATTRIBUTION.md). The Transformer reads an image as a sentence of
eight words, its rows. Warm-up and cosine schedule, gradient clipping, label smoothing, dropout,
early stopping on a validation set; at the end the accuracy on images that neither has seen.

    python examples/digits.py [--epochs N] [--report losses.json]
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

try:
    from tqdm import tqdm
except ImportError:  # only the progress bar needs it
    tqdm = None

DATA = Path(__file__).parent / "data" / "digits.csv.gz"
COUNT, TRAIN, VALIDATION = 1797, 1297, 200  # the other 300 are for the test


class MLP(nn.Module):
    """Two hidden layers on the 64 pixels."""

    def __init__(self, width=256):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.4),
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.4), nn.Linear(width, 10))

    def forward(self, images):
        return self.layers(images)


class Attention(nn.Module):
    """Every row looks at every row, with several heads."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        split = (batch, length, 3, self.heads, width // self.heads)
        query, key, value = self.query_key_value(x).view(split).permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        mixed = F.softmax(scores, dim=-1) @ value
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Attention, then two layers on each row by itself; both added to what came in."""

    def __init__(self, width, heads, dropout=0.1):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(),
                                    nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.layers(self.norm2(x)))


class Transformer(nn.Module):
    """An image as eight rows: embedded, their places added, mixed by two blocks, averaged."""

    def __init__(self, width=48, heads=4, depth=2):
        super().__init__()
        self.embedding = nn.Linear(8, width)
        self.place = nn.Parameter(torch.randn(8, width) * 0.02)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, 10)

    def forward(self, images):
        x = self.embedding(images) + self.place
        for block in self.blocks:
            x = block(x)
        return self.output(self.norm(x).mean(dim=1))


MODELS = {"MLP": (MLP, 3e-3, 40), "Transformer": (Transformer, 4e-3, 30)}


def load(path):
    """Images (1797, 8, 8) in [0, 1] and their digits; ValueError if the file is not whole."""
    try:
        rows = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"cannot read the digits from {path}: {error}") from None
    if rows.shape != (COUNT, 65):
        raise ValueError(f"{path} should hold {COUNT} lines of 65 numbers, but holds "
                         f"{rows.shape[0]} of {rows.shape[1]}")
    return torch.from_numpy(rows[:, :64].reshape(-1, 8, 8) / 16), torch.from_numpy(
        rows[:, 64].astype(np.int64))


def parts(path, seed):
    """Training, validation and test set: a random split that the seed decides."""
    images, digits = load(path)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(COUNT, generator=generator)
    return [TensorDataset(images[part], digits[part])
            for part in order.split([TRAIN, VALIDATION, COUNT - TRAIN - VALIDATION])]


def accuracy(model, dataset):
    images, digits = dataset.tensors
    model.eval()
    with torch.no_grad():
        return (model(images).argmax(dim=1) == digits).float().mean().item()


def warm_up_then_cosine(step, warm_up, total):
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / (total - warm_up))))


def train(name, datasets, epochs=None, patience=10, seed=0):
    """Train one model; its loss at every step, and its accuracies."""
    training, validation, test = datasets
    torch.manual_seed(seed)
    kind, rate, most = MODELS[name]
    epochs = epochs or most
    model = kind()
    loader = DataLoader(training, batch_size=64, shuffle=True)
    steps = epochs * len(loader)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warm_up_then_cosine(step, min(60, steps // 4 + 1), steps))
    losses, best, best_state, waited = [], -1.0, None, 0
    start = time.perf_counter()
    bar = tqdm(total=steps, desc=name, unit="step", leave=False) if tqdm else None
    for _ in range(epochs):
        model.train()
        for images, digits in loader:
            loss = F.cross_entropy(model(images), digits, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if bar:
                bar.update()
        found = accuracy(model, validation)
        if found > best:
            best, waited = found, 0
            best_state = {key: value.clone() for key, value in model.state_dict().items()}
        else:
            waited += 1
        if bar:
            bar.set_postfix(loss=f"{losses[-1]:.3f}", validation=f"{found:.1%}")
        if waited == patience:
            break
    if bar:
        bar.close()
    model.load_state_dict(best_state)
    return {"losses": losses, "validation": best, "test": accuracy(model, test),
            "seconds": time.perf_counter() - start}


def main():
    parser = argparse.ArgumentParser(description="Train on handwritten digits.")
    parser.add_argument("--data", type=Path, default=DATA, help="the digits, as CSV")
    parser.add_argument("--epochs", type=int, help="at most so many passes over the images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="write all losses to this JSON file")
    options = parser.parse_args()
    try:
        datasets = parts(options.data, options.seed)
    except ValueError as error:
        sys.exit(f"digits: {error}")
    report = {}
    for name in MODELS:
        report[name] = train(name, datasets, options.epochs, seed=options.seed)
        print(f"{name}: {len(report[name]['losses'])} steps, last loss "
              f"{report[name]['losses'][-1]:.4f}, validation {report[name]['validation']:.1%}, "
              f"test {report[name]['test']:.1%}")
    if options.report:
        options.report.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
