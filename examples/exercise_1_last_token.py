"""Exercise 1: the last real token of every sequence in a padded batch, without a loop.

Sequences of different lengths are padded to one length. `gather` picks, for each sequence, the row
whose number is its length minus one; and it hands gradients back to exactly those rows.
"""

import torch


def last_tokens(batch, mask):
    """`batch` (sequences, length, features), `mask` true at real tokens: one row a sequence."""
    last = mask.long().sum(dim=1) - 1
    if (last < 0).any():
        raise ValueError("a sequence without any token has no last one")
    places = last.view(-1, 1, 1).expand(-1, 1, batch.shape[2])
    return batch.gather(1, places).squeeze(1)


def one_by_one(batch, mask):
    """What it should be, the slow way."""
    return torch.stack([sequence[real][-1]
                        for sequence, real in zip(batch, mask, strict=True)])


torch.manual_seed(0)
lengths = torch.tensor([3, 5, 1, 4])
mask = torch.arange(5) < lengths.unsqueeze(1)
batch = torch.randn(4, 5, 2).masked_fill(~mask.unsqueeze(2), 0.0).requires_grad_()

found = last_tokens(batch, mask)
print("lengths:", lengths.tolist())
print("last tokens:\n", found.detach(), sep="")
print("as one by one:", torch.equal(found, one_by_one(batch, mask)))

found.sum().backward()
print("rows that got a gradient:", batch.grad.any(dim=2).nonzero().tolist())

# Where only the longest sequence of the batch is asked for, one index is enough.
longest = lengths.argmax()
print("the longest is number", longest.item(), "and ends in",
      batch[longest, lengths[longest] - 1].tolist())

try:
    last_tokens(batch, torch.zeros_like(mask))
except ValueError as error:
    print("empty sequences:", error)
