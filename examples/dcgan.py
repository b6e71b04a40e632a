"""A DCGAN on handwritten digits: one net draws, another tells drawings from digits.

The generator spreads random numbers into a picture by transposed convolutions; the discriminator
looks at pictures by convolutions that halve them. Each is trained against the other. Spectral norm
keeps the discriminator from being so sure of itself that the generator learns nothing from it.

    python examples/dcgan.py
"""

import torch
import torch.nn.functional as F
from digits import DATA, load  # the other program of this folder
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.data import DataLoader

NOISE, WIDTH = 16, 24


def generator():
    """16 random numbers, 2 x 2, 4 x 4, 8 x 8 in [0, 1]."""
    return nn.Sequential(
        nn.ConvTranspose2d(NOISE, 2 * WIDTH, 2, bias=False), nn.BatchNorm2d(2 * WIDTH), nn.ReLU(),
        nn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(WIDTH), nn.ReLU(),
        nn.ConvTranspose2d(WIDTH, 1, 4, stride=2, padding=1), nn.Sigmoid())


def discriminator():
    """8 x 8, 4 x 4, 2 x 2, one number: above 0 if it looks like a digit."""
    return nn.Sequential(
        spectral_norm(nn.Conv2d(1, WIDTH, 4, stride=2, padding=1)), nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(WIDTH, 2 * WIDTH, 4, stride=2, padding=1)), nn.LeakyReLU(0.2),
        nn.Flatten(), spectral_norm(nn.Linear(2 * WIDTH * 2 * 2, 1)))


def initialise(module):
    """Small normal weights, as in the paper (Radford et al., 2015)."""
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)


torch.manual_seed(0)
# two nets that chase each other magnify every rounding error: 64 bits keep runs the same for longer
torch.set_default_dtype(torch.float64)
images = load(DATA)[0].double()
loader = DataLoader(images.unsqueeze(1), batch_size=64, shuffle=True, drop_last=True)
draw, judge = generator().apply(initialise), discriminator()
draw_optimizer = torch.optim.Adam(draw.parameters(), lr=2e-3, betas=(0.5, 0.999))
judge_optimizer = torch.optim.Adam(judge.parameters(), lr=2e-3, betas=(0.5, 0.999))
fixed = torch.randn(4, NOISE, 1, 1)

for epoch in range(4):
    for digits in loader:
        drawings = draw(torch.randn(len(digits), NOISE, 1, 1))
        # softplus(-x) is the loss of "real", softplus(x) of "drawn", for the score x
        judge_loss = (F.softplus(-judge(digits)) + F.softplus(judge(drawings.detach()))).mean()
        judge_optimizer.zero_grad()
        judge_loss.backward()
        judge_optimizer.step()

        draw_loss = F.softplus(-judge(drawings)).mean()  # the generator wants to hear "real"
        draw_optimizer.zero_grad()
        draw_loss.backward()
        draw_optimizer.step()
    print(f"epoch {epoch}: discriminator {judge_loss.item():.3f}, "
          f"generator {draw_loss.item():.3f}, ink {drawings.mean().item():.3f} "
          f"(digits have {images.mean().item():.3f})")

draw.eval()
with torch.no_grad():
    pictures = draw(fixed)[:, 0]
for row in range(8):
    print("   ".join("".join(" .oO@"[int(ink * 4.999)] for ink in picture[row].tolist())
                     for picture in pictures))
