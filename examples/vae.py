"""A variational autoencoder on handwritten digits: pictures as points, and points as pictures.

The encoder gives each picture a small cloud in a space of four dimensions, the decoder makes a
picture of any point. The loss asks for two things: pictures come back as they were, and all clouds
together look like one standard normal. So a random point makes a picture that could be a digit.

    python examples/vae.py
"""

import torch
import torch.nn.functional as F
from digits import DATA, load  # the other program of this folder
from torch import nn
from torch.utils.data import DataLoader

HIDDEN, LATENT = 64, 4


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, HIDDEN), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 64),
                                     nn.Unflatten(1, (8, 8)))

    def forward(self, images):
        x = self.encoder(images)
        mean, log_variance = self.mean(x), self.log_variance(x)
        # the noise is drawn apart, so that gradients reach mean and variance through the sum
        point = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(point), mean, log_variance


def losses(images, logits, mean, log_variance):
    """Of one picture on average: what is lost on the way, and how far its cloud is from N(0, 1)."""
    lost = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    distance = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
    return lost / len(images), distance / len(images)


def show(pictures):
    """Pictures side by side, darker letters for more ink."""
    for row in range(8):
        print("   ".join("".join(" .oO@"[int(ink * 4.999)] for ink in picture[row].tolist())
                         for picture in pictures))


torch.manual_seed(0)
images, _ = load(DATA)
loader = DataLoader(images, batch_size=64, shuffle=True)
model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(8):
    sums = torch.zeros(2)
    for batch in loader:
        lost, distance = losses(batch, *model(batch))
        optimizer.zero_grad()
        (lost + distance).backward()
        optimizer.step()
        sums += torch.stack([lost.detach(), distance.detach()])
    lost, distance = (sums / len(loader)).tolist()
    print(f"epoch {epoch}: lost {lost:.2f}, distance {distance:.2f}, "
          f"together {lost + distance:.2f}")

model.eval()
with torch.no_grad():
    print("three digits, what the model makes of them, and three that nobody wrote:")
    show(images[:3])
    show(model(images[:3])[0].sigmoid())
    show(model.decoder(torch.randn(3, LATENT)).sigmoid())
