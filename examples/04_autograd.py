"""Autograd leaves a trail of nodes on the way forward, and walks it backward.

You will see the trail itself, why gradients add up, how to cut the trail; and, since a derivative
is computed like anything else, derivatives of derivatives: a Taylor series and Newton's method.
"""

import torch


def heading(text):
    print(f"\n--- {text}")


def show_trail(node, depth=0):
    print("  " * depth + node.name())
    for parent, _ in node.next_functions:
        if parent is not None:
            show_trail(parent, depth + 1)


heading("The trail of (x * y + x) ** 2")
x = torch.tensor(2.0, requires_grad=True)
y = torch.tensor(3.0, requires_grad=True)
loss = (x * y + x) ** 2
show_trail(loss.grad_fn)  # AccumulateGrad is the end of a trail: there x.grad is written
loss.backward()
# x is met on two trails, and what comes along both is added: 2(xy + x)(y + 1) = 2 * 8 * 4
print("d/dx:", x.grad.item(), " d/dy:", y.grad.item())

heading("Gradients add up until somebody wipes them")
x = torch.tensor(1.0, requires_grad=True)
(x**2).backward()
print("after x^2:       ", x.grad.item())
(x**3).backward()
print("and x^3 on top:  ", x.grad.item())
x.grad.zero_()  # what optimizer.zero_grad() is for
(x**4).backward()
print("wiped, then x^4: ", x.grad.item())

heading("Cutting the trail")
x = torch.tensor(1.0, requires_grad=True)
doubled = x * 2
(doubled.detach() * 3 + x).backward()  # the 6 that came by way of `doubled` is cut off
print("detached:", x.grad.item())
with torch.no_grad():
    print("tracked inside no_grad:", (x * 2).requires_grad)
try:
    square = x**2
    square.backward()
    square.backward()  # the first walk has freed what x ** 2 remembered
except RuntimeError as error:
    print("twice:", str(error).split(" (")[0])

heading("A Taylor series of exp(sin x), from its derivatives at 0")
x = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
derivative, coefficients, factorial = torch.exp(torch.sin(x)), [], 1.0
for order in range(8):
    coefficients.append(derivative.item() / factorial)
    factorial *= order + 1
    # create_graph: the walk back leaves a trail of its own, along which we walk again.
    derivative, = torch.autograd.grad(derivative, x, create_graph=True)
print("coefficients:", [round(c, 6) + 0.0 for c in coefficients])
at = 0.5
series = sum(c * at**order for order, c in enumerate(coefficients))
print(f"at 0.5 the series gives {series:.6f}, the function"
      f" {torch.tensor(at, dtype=torch.float64).sin().exp().item():.6f}")

heading("Newton's method needs the second derivative, and has it")
x = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
for step in range(6):
    hill = x**4 / 4 - x**2 - x
    slope, = torch.autograd.grad(hill, x, create_graph=True)
    curvature, = torch.autograd.grad(slope, x)
    print(f"step {step}: x = {x.item():.8f}")
    with torch.no_grad():  # the step itself is no part of the function
        x -= slope / curvature
