"""Wrong input: torch's exception class, torch's words, and every tensor as it was."""

from __future__ import annotations

import pytest

from parity_tests.compare import normalise
from parity_tests.harness import candidate


def tensors(torch):
    """What the cases work on: made anew for each library and case."""
    torch.manual_seed(0)
    names = {
        "x": torch.arange(6.0).view(2, 3), "y": torch.arange(4.0), "v": torch.arange(3.0),
        "i": torch.arange(6).view(2, 3), "b": torch.tensor([True, False, True]),
        "w": torch.arange(6.0).view(2, 3).requires_grad_(), "z": torch.tensor([1 + 2j]),
        "e": torch.zeros(0, 3), "s": torch.tensor(2.5),
    }
    names["h"] = names["w"] * 2
    return names


# Each line runs with torch, F and nn at hand; several statements are one case.
CASES = """
x + y
x * y
x - torch.ones(2, 4)
torch.add(x, 'a')
x + None
x + 'a'
x < 'a'
b - b
-b
b.to(torch.float32) - 'a'
x.add(y, alpha=2)
i.add(i, alpha=1.5)
i ** -1
i.add_(1.5)
i.mul_(x)
i.div_(2)
b.add_(1.5)
x.add_(z)
x.add_(torch.ones(3, 2, 3))
v.add_(x)
x.copy_(y)
x.view(4)
x.t().view(6)
x.view(-1, -1)
x.view(5, -1)
x.reshape(7)
x.expand(2, 2)
x.expand(3)
x.squeeze(2)
x.unsqueeze(4)
x.transpose(0, 2)
x.permute(0)
x.permute(0, 0)
x.flatten(1, 0)
x.sum(2)
x.sum((0, 0))
x.mean(dim=5)
i.mean()
x.max(dim=3)
e.max()
e.max(dim=0)
e.argmax()
i.softmax(0)
x.softmax(2)
x[2]
x[0, 3]
x[0, 0, 0]
x[-3]
x[torch.tensor([0, 2])]
x[:, torch.tensor([-4])]
x[torch.tensor([0.5])]
x[torch.tensor([True, False, True])]
x['a']
x[b]
x[::-1]
x[5] = 1
x[0] = y
x[:, 0] = torch.ones(3)
x[torch.tensor([0, 5])] = 1
x[0, 0] = 'a'
s[0]
s[0] = 1
len(s)
list(s)
x.item()
bool(x)
bool(e)
int(x)
float(torch.ones(2))
x.index_select(0, torch.tensor([2]))
x.gather(1, torch.tensor([[3]]))
x.gather(1, torch.tensor([0]))
x.scatter(1, torch.tensor([[5]]), 1.0)
x.scatter_add_(1, torch.tensor([[5]]), x[:, :2].clone())
x.narrow(0, 1, 2)
x.split(-1)
x.split([1, 2])
x.chunk(0)
torch.cat([])
torch.cat([x, y])
torch.cat([x, torch.ones(2, 2)])
torch.stack([x, v])
torch.stack([])
x @ x
x @ y
x.mm(v)
x.mv(x)
v.dot(y)
v.dot(i[0])
x @ i.t()
x.bmm(x)
torch.matmul(s, x)
torch.addmm(x, x, x)
F.linear(x, torch.ones(4, 2))
F.linear(x, torch.ones(4, 3), torch.ones(3))
torch.where(x, x, x)
torch.where(x > 1, x, torch.ones(4, 4))
x.masked_fill(x, 1)
x.masked_fill(x > 1, v)
x.clamp()
x.repeat(2)
torch.zeros(-1)
torch.zeros(2, 'a')
torch.tensor([[1, 2], [3]])
torch.tensor('a')
torch.tensor(None)
torch.tensor([1], requires_grad=True)
torch.arange(1, 5, -1)
torch.linspace(0, 1, -1)
torch.ones(2, dtype='float32')
torch.ones(2, device='tpu')
torch.device('cpu:x')
x.to('cuda')
torch.ones(2).cuda()
torch.ones(2, device='cuda:0')
x.type(5)
w.backward()
h.backward()
h.sum().backward(torch.ones(2))
h.backward(torch.ones(3))
x.sum().backward()
torch.autograd.grad(h.sum(), x)
torch.autograd.grad(h, w)
torch.autograd.grad(h.sum(), [])
torch.autograd.grad(h.sum(), w, grad_outputs=torch.ones(3))
q = h.sum(); q.backward(); q.backward()
torch.autograd.grad(h.sum(), torch.ones(1, requires_grad=True))
w.add_(1)
w[0] = 1
w.zero_()
w.data = 1
w.grad = x[0]
w.grad = 3
w.numpy()
w.requires_grad_(True).detach_().numpy(); h.requires_grad = False
i.requires_grad_()
h.retain_grad(); x.retain_grad()
x.register_hook(print)
a, c = h.unbind(0); a.mul_(2)
k = h * h; h.mul_(2); k.sum().backward()
x.expand(5, 2, 3)[0].copy_(x); x[:1].expand(4, 3).add_(1)
F.nll_loss(x, torch.tensor([0, 3]))
F.cross_entropy(x, torch.tensor([0]))
F.cross_entropy(x, x[:, :2])
F.mse_loss(x, torch.ones(3, 4))
F.binary_cross_entropy(x, x)
F.dropout(x, 1.5)
F.embedding(torch.tensor([2]), x)
F.embedding(x, x)
F.layer_norm(x, (2,))
F.batch_norm(x[:1], None, None, training=True)
F.one_hot(torch.tensor([-1]))
F.one_hot(torch.tensor([2]), 2)
F.gelu(x, approximate='x')
nn.Linear(3, 4)(y)
nn.Linear(3, 4)(i)
nn.Embedding(3, 4)(torch.tensor([3]))
nn.LayerNorm(4)(x)
nn.Dropout(-1)
nn.Sequential(1)
nn.ModuleList([1])
nn.Module()(x)
nn.Linear(3, 4).load_state_dict({})
nn.Linear(3, 4).load_state_dict({'weight': x, 'bias': v, 'c': v})
nn.Linear(3, 4).nothing
m = nn.Module(); m.register_buffer('a.b', x)
m = nn.Module(); m.register_parameter('p', x)
class M(nn.Module):\\n def __init__(self): self.layer = nn.Linear(1, 1)\\nM()
torch.optim.SGD([], lr=0.1)
torch.optim.SGD([x], lr=-1)
torch.optim.SGD(x, lr=0.1)
torch.optim.SGD([h], lr=0.1)
torch.optim.Adam([w], betas=(1, 2))
torch.optim.AdamW([w], eps=-1)
torch.optim.SGD([w], lr=0.1, nesterov=True)
torch.optim.SGD([w, w], lr=0.1)
torch.optim.lr_scheduler.StepLR(1, 2)
torch.utils.data.DataLoader([], shuffle=True)
torch.utils.data.DataLoader([1], batch_size=0)
torch.utils.data.DataLoader([1], batch_size=2, batch_sampler=[[0]])
torch.utils.data.DataLoader([1], shuffle=True, sampler=[0])
next(iter(torch.utils.data.DataLoader([])))
torch.utils.data.TensorDataset(x, v)
list(torch.utils.data.DataLoader([torch.ones(1), torch.ones(2)], batch_size=2))
torch.utils.data.random_split([1, 2, 3], [1, 1])
torch.from_numpy([1])
torch.manual_seed('a')
torch.randint(3, 3, (2,))
torch.randperm(-1)
torch.multinomial(torch.tensor([0.0, -1.0]), 1)
torch.bernoulli(x)
torch.normal(x, -x)
torch.einsum('ij,jk', x)
torch.einsum('ij->k', x)
x.topk(4)
x.sort(dim=3)
x.kthvalue(5)
x.cumsum(2)
x.norm(dim=7)
x.as_strided((4, 4), (4, 1))
x.unfold(1, 4, 1)
x.nothing
1 - b
x - b
x.type('abc')
x[1.5]
x[0] = [1, 2]
x[0] = 1j
""".strip().splitlines()

SAYS_MORE = ("k = h * h",)  # minigrad's message goes on where torch's ends


def outcome(torch, case):
    names = tensors(torch)
    before = {name: (str(tensor), tensor._version) for name, tensor in names.items()}
    scope = dict(names, torch=torch, F=torch.nn.functional, nn=torch.nn)
    try:
        exec(case.replace("\\n", "\n"), scope)
    except Exception as error:
        untouched = {name for name, tensor in names.items()
                     if (str(tensor), tensor._version) == before[name]}
        return type(error).__name__, normalise(str(error)), untouched
    return "no error", "", set(names)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_wrong_input(case):
    import torch

    if "cuda" in case and (torch.version.cuda or candidate().cuda.is_available()):
        pytest.skip("the case is about machines and builds of torch without CUDA")
    kind, words, untouched = outcome(torch, case)
    got_kind, got_words, got_untouched = outcome(candidate(), case)
    assert got_kind == kind, got_words
    if case.startswith(SAYS_MORE):
        words = words.split(" Hint:")[0]
        got_words = got_words[:len(words)]
    assert got_words == words
    assert got_untouched >= untouched  # torch itself may stop in the middle of a write


def test_nan_is_a_value():
    import torch

    def program(lib):
        x = lib.tensor([1.0, float("nan"), -float("inf")], requires_grad=True)
        y = (x.clamp(-1, 1) * x.relu() + x.max()).sum()
        y.backward()
        return str(y), str(x.grad), str(lib.isnan(x)), str(x == x), str(x.sort())

    assert program(candidate()) == program(torch)
