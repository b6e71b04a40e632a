"""Exercise 2: Swish, x sigmoid(x), as a Function with a backward of its own.

Saving x alone is enough: the sigmoid is computed again. Because backward is written in tensor
operations, its result can be differentiated too, which is checked against autograd's own and
against differences.
"""

import torch


class Swish(torch.autograd.Function):
    """y = x s with s = sigmoid(x), so dy/dx = s + x s (1 - s)."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad * (s + x * s * (1 - s))


def derivatives(function, x):
    """The values, first and second derivatives at every element."""
    y = function(x)
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    return y.detach(), first.detach(), second


x = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
ours = derivatives(Swish.apply, x)
automatic = derivatives(lambda t: t * t.sigmoid(), x)
for name, a, b in zip(["value", "first", "second"], ours, automatic, strict=True):
    print(f"{name:6}", " ".join(f"{v:8.5f}" for v in a.tolist()),
          " as autograd's:", torch.allclose(a, b))

with torch.no_grad():
    h = 1e-5
    slope = (Swish.apply(x + h) - Swish.apply(x - h)) / (2 * h)
print("and as the differences say:", torch.allclose(slope, ours[1], atol=1e-8))

y = Swish.apply(x)
print("in the graph:", y.grad_fn.name())

# In a net it is a layer like any other.
torch.manual_seed(0)
first, second = torch.nn.Linear(3, 8), torch.nn.Linear(8, 1)
loss = second(Swish.apply(first(torch.randn(4, 3)))).pow(2).mean()
loss.backward()
print(f"loss {loss.item():.6f}, gradient norm {first.weight.grad.norm():.6f}")
