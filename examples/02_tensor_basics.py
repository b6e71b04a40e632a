"""A tensor is a flat row of numbers and a recipe for walking along it.

You will see: shape and strides are that recipe; transposing, slicing and expanding only write a new
recipe for the same numbers; and broadcasting is nothing but a step of length zero.
"""

import torch


def heading(text):
    print(f"\n--- {text}")


heading("Where tensors come from")
torch.manual_seed(0)  # the same seed gives the same numbers, always
print(torch.tensor([[1, 2, 3], [4, 5, 6]]).dtype, torch.tensor([1.0, 2.0]).dtype)
print(torch.full((2, 2), 3.14).tolist())
print("linear:     ", torch.linspace(0, 1, 5).tolist())
print("logarithmic:", torch.logspace(0, 2, 3).tolist())
print("uniform:    ", torch.rand(4))
print("normal:     ", torch.randn(4))
print("dice:       ", torch.randint(1, 7, (10,)).tolist())
print("like another:", torch.zeros_like(torch.randn(2, 3, dtype=torch.float64)).dtype)
print("an integer and a float make", (torch.arange(3) + 0.5).dtype)

heading("One row of twelve numbers, many shapes")


def describe(name, t):
    shape, strides = str(tuple(t.shape)), str(t.stride())
    print(f"{name:13} shape {shape:9} strides {strides:8} starts at {t.storage_offset()}"
          f"  row by row: {t.is_contiguous()}")


t = torch.arange(12).reshape(3, 4)
describe("t", t)
describe("t.T", t.T)  # stepping right in the transpose is stepping down in t
describe("t[:, 1::2]", t[:, 1::2])
describe("t[1]", t[1])
describe("t.T, copied", t.T.contiguous())  # some kernels want the numbers in walking order

t.T[0, 2] = -8  # a view is no copy: this is t[2, 0]
print("written through the transpose:", t[2].tolist())
try:
    t.T.view(12)  # no single step length leads through the transpose
except RuntimeError:
    print("view refuses to copy; reshape does it:", t.T.reshape(12)[:4].tolist())

heading("Broadcasting is a step of length zero")
row = torch.tensor([1, 2, 3])
describe("row.expand", row.expand(4, 3))  # four rows, and still only three numbers
print("shapes meet from the right:", tuple(torch.broadcast_shapes((5, 1, 4, 1), (3, 1, 6))))
try:
    torch.ones(3, 4) + torch.ones(3)
except RuntimeError as error:
    print("or they do not:", error)

# A column against a row gives every pair, which is how a table of all distances is written.
numbers = torch.arange(1, 6)
print(numbers[:, None] * numbers)
corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
print((corners[:, None] - corners).pow(2).sum(dim=-1).sqrt())

heading("Strides as a trick: a moving average without a loop")
temperatures = torch.tensor([12.0, 15.0, 11.0, 18.0, 21.0, 19.0, 16.0])
windows = temperatures.unfold(0, 3, 1)  # five windows that overlap in the same memory
describe("windows", windows)
print("average of three days:", windows.mean(dim=1))
