"""What does a tensor have that a NumPy array has not? It remembers how it was computed.

You will see: the numbers are NumPy's, even the very same memory if you wish; but a tensor that is
told to keep its history gives back all its derivatives, exactly and for the price of one.
"""

import numpy as np
import torch


def heading(text):
    print(f"\n--- {text}")


heading("The same numbers")
array = np.arange(6.0).reshape(2, 3)
tensor = torch.from_numpy(array)
print("NumPy says", (array @ array.T).tolist())
print("torch says", (tensor @ tensor.T).tolist())

heading("Shared, or copied")
shared, copied = torch.from_numpy(array), torch.tensor(array)
array[0, 0] = 100.0  # written by NumPy, and `shared` is a second window on that memory
print("from_numpy:", shared[0].tolist())
print("tensor:    ", copied[0].tolist())
shared[1, 2] = -1.0  # the window opens from both sides
print("NumPy sees:", array[1].tolist())


heading("One derivative, three ways")


def f(x, y):
    return x**2 * y + x * y**2


# 1. By hand: exact, but every new formula costs a new calculation, and every slip is silent.
print("by hand:    ", 2 * 3.0 * 4.0 + 4.0**2, 3.0**2 + 2 * 3.0 * 4.0)

# 2. By nudging: always possible, but only nearly right. Half of the digits are lost when two
#    almost equal numbers are subtracted.
h = 1e-6
by_nudging = (f(3.0 + h, 4.0) - f(3.0 - h, 4.0)) / (2 * h)
print("by nudging: ", f"{by_nudging:.3f}", "wrong by less than 1e-6:", abs(by_nudging - 40) < 1e-6)

# 3. By autograd: the very formula above, run on tensors, writes its own derivative.
x = torch.tensor(3.0, requires_grad=True)
y = torch.tensor(4.0, requires_grad=True)
f(x, y).backward()
print("by autograd:", x.grad.item(), y.grad.item())

heading("A thousand derivatives")
# A chain of springs with both ends nailed down. Its energy is one number that depends on a
# thousand positions; the slope with respect to each of them says where the spring pulls.
evaluations = 0


def energy(positions):
    global evaluations
    evaluations += 1
    stretch = positions[1:] - positions[:-1]
    return 0.5 * (stretch**2).sum() + 0.25 * (stretch**4).sum()


positions = np.sin(np.linspace(0, np.pi, 1000)) * 10
slopes = np.zeros(1000)
for i in range(1000):
    nudge = np.zeros(1000)
    nudge[i] = h
    slopes[i] = (energy(positions + nudge) - energy(positions - nudge)) / (2 * h)
print("nudging each in turn: the energy was computed", evaluations, "times")

evaluations = 0
tracked = torch.tensor(positions, requires_grad=True)
energy(tracked).backward()
print("going backward once:  the energy was computed", evaluations, "time")
print("largest pull:", f"{tracked.grad.abs().max().item():.6f}")
print("do both agree?", np.allclose(slopes, tracked.grad.numpy(), atol=1e-7))
