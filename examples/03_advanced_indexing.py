"""Picking numbers out, and putting them back: slices, masks, gather and scatter.

You will see: gather reads, scatter writes, and each is the other's derivative. With them one picks
the right class's score, counts letters and masks padding, all without a loop.
"""

import torch


def heading(text):
    print(f"\n--- {text}")


heading("Slices keep the rest of the shape")
torch.manual_seed(1)
batch = torch.randn(4, 5, 6)  # 4 sentences of 5 words with 6 features each
for name, part in [("batch[0]", batch[0]), ("batch[:, 0]", batch[:, 0]),
                   ("batch[:2, 2:5]", batch[:2, 2:5]), ("batch[..., -1]", batch[..., -1]),
                   ("batch[:, [0, -1]]", batch[:, [0, -1]]), ("batch[:, None]", batch[:, None])]:
    print(f"{name:18} {tuple(part.shape)}")

heading("Two lists of indices walk side by side")
grid = torch.arange(20).reshape(4, 5)
rows, columns = torch.tensor([0, 1, 2, 3]), torch.tensor([4, 0, 3, 1])
print("one from each row:", grid[rows, columns].tolist())
print("the whole block:  ", grid[rows[:, None], columns].tolist())  # a column against a row: pairs

heading("A question is an index, too")
scores = torch.tensor([[0.2, 0.9, 0.4], [0.8, 0.1, 0.3]])
print("above 0.35:", scores[scores > 0.35])
scores[scores < 0.35] = 0
print("the rest zeroed:\n", scores, sep="")

heading("gather: each row says which column it wants")
logits = torch.tensor([[2.0, 0.5, -1.0], [0.1, 3.0, 0.2], [1.0, 1.0, 1.0]], requires_grad=True)
labels = torch.tensor([0, 1, 2])
chosen = logits.gather(1, labels[:, None]).squeeze(1)
print("score of the right class:", chosen)

# That is cross entropy already: how far the right score lies below the (soft) maximum of all.
loss = (logits.logsumexp(dim=1) - chosen).mean()
print("cross entropy:", f"{loss.item():.6f}", "by the library:",
      f"{torch.nn.functional.cross_entropy(logits, labels).item():.6f}")
loss.backward()
# gather read with an index, so its derivative writes with it: the -1/3 lands on the diagonal.
print("its gradient, softmax minus one-hot:\n", logits.grad, sep="")

heading("scatter: each number says where it wants to go")
one_hot = torch.zeros(3, 5).scatter_(1, torch.tensor([[3], [0], [4]]), 1.0)
print(one_hot)

text = "the quick brown fox jumps over the lazy dog"
letters = torch.tensor([ord(c) - ord("a") for c in text if c != " "])
counts = torch.zeros(26, dtype=torch.long).scatter_add_(0, letters, torch.ones_like(letters))
best = counts.topk(3, sorted=True)
print("letters in all:", counts.sum().item(), " unused:", (counts == 0).sum().item())
print("most frequent:", chr(ord("a") + counts.argmax().item()), best.values.tolist())

heading("Index twice, and the gradient comes twice")
# An embedding is a table indexed by words; a word that occurs three times learns three times.
table = torch.zeros(4, 2, requires_grad=True)
table[torch.tensor([1, 1, 3, 1])].sum().backward()
print(table.grad)

heading("Sentences of unequal length: sum only what is there")
lengths = torch.tensor([5, 2, 3, 1])
there = torch.arange(5) < lengths[:, None]
print(there.int())
mean = (batch * there[..., None]).sum(dim=1) / lengths[:, None]
print("mean of the first feature:", mean[:, 0])
