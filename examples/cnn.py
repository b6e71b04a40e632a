"""A convolutional net on handwritten digits: strokes, then corners, then which digit it is.

You will see the loss fall, and what batch norm and pooling are for: fold the batch norms into the
convolutions before them, and the net gives the same answers with fewer layers.

    python examples/cnn.py
"""

import torch
import torch.nn.functional as F
from digits import DATA, load  # the other program of this folder
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.data import DataLoader, TensorDataset


class CNN(nn.Module):
    """Two convolutions, each halving the picture: 1 x 8 x 8, 16 x 4 x 4, 32 x 2 x 2, 10."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)
        self.output = nn.Linear(32 * 2 * 2, 10)

    def forward(self, images):
        x = self.pool(F.relu(self.norm1(self.conv1(images))))
        x = self.pool(F.relu(self.norm2(self.conv2(x))))
        return self.output(x.flatten(1))


def accuracy(model, images, digits):
    model.eval()
    with torch.no_grad():
        return (model(images).argmax(dim=1) == digits).float().mean()


torch.manual_seed(0)
images, digits = load(DATA)
images = images.unsqueeze(1)  # one channel: grey
training = DataLoader(TensorDataset(images[:1500], digits[:1500]), batch_size=50, shuffle=True)
model = CNN()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
print(f"{sum(p.numel() for p in model.parameters())} parameters, most of them in "
      f"{max(model.named_parameters(), key=lambda pair: pair[1].numel())[0]}")

for epoch in range(3):
    model.train()
    total = 0.0
    for batch, answers in training:
        loss = F.cross_entropy(model(batch), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(training)
    found = accuracy(model, images[1500:], digits[1500:])
    print(f"epoch {epoch}: loss {total:.3f}, accuracy on new images {found:.1%}")

before = model(images[1500:])
model.conv1, model.norm1 = fuse_conv_bn_eval(model.conv1, model.norm1), nn.Identity()
model.conv2, model.norm2 = fuse_conv_bn_eval(model.conv2, model.norm2), nn.Identity()
print(f"without its batch norms: accuracy {accuracy(model, images[1500:], digits[1500:]):.1%}")
print("the same answers:", torch.allclose(model(images[1500:]), before, atol=1e-3))
