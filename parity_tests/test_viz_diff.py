"""Two graphs laid over each other, and graphs as text."""

from __future__ import annotations

import pytest

from minigrad import viz
from parity_tests.harness import candidate
from parity_tests.speed.pictures import gpt


def _parameters(torch, *shapes):
    return [torch.full(shape, 0.1).requires_grad_() for shape in shapes]


def mlp(torch):
    nn = torch.nn
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))
    return nn.functional.cross_entropy(model(torch.ones(5, 4)), torch.tensor([0, 1, 2, 1, 0]))


def cnn(torch):
    F = torch.nn.functional
    kernel, bias, weight = _parameters(torch, (4, 1, 3, 3), (4,), (3, 36))
    images = F.max_pool2d(F.conv2d(torch.ones(2, 1, 8, 8), kernel, bias).relu(), 2)
    return F.log_softmax(F.linear(images.flatten(1), weight), 1).mean()


def attention(torch):
    q, k, v = _parameters(torch, (2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4))
    causal = torch.ones(5, 5).tril() == 0
    scores = ((q @ k.transpose(-2, -1)) / 2).masked_fill(causal, float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(2, 5, 12).sum()


def recurrent(torch):
    inner, outer, bias = _parameters(torch, (4, 4), (3, 4), (4,))
    state = torch.zeros(2, 4)
    for _ in range(6):
        state = torch.tanh(state @ inner + torch.ones(2, 3) @ outer + bias)
    return (state ** 2).mean()


def lstm_by_hand(torch):
    weight, bias = _parameters(torch, (7, 16), (16,))
    h = c = torch.zeros(2, 4)
    for _ in range(3):
        gates = torch.cat([torch.ones(2, 3), h], 1) @ weight + bias
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    return h.sum()


def writes_through_views(torch):
    x, y = _parameters(torch, (4, 4), (4,))
    z = x * 2
    z[1:3].mul_(3)
    z[:, 0] = y
    z.view(16)[5:].add_(1)
    return (z.t() @ y).sum()


def normalised(torch):
    nn = torch.nn
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.GELU(), nn.LayerNorm(6),
                          nn.Linear(6, 2))
    return nn.functional.mse_loss(model(torch.arange(20.).reshape(5, 4)), torch.ones(5, 2))


def layers_of_images(torch):
    nn = torch.nn
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
                          nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2))
    return model(torch.arange(128.).reshape(2, 1, 8, 8)).sum()


def layers_of_sequences(torch):
    return torch.nn.LSTM(3, 4)(torch.ones(5, 2, 3))[0].sum()


def transformer(torch):
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return layer(torch.ones(2, 3, 8)).sum()


def language_model(torch):
    model, indices = gpt(torch, blocks=3)
    return torch.nn.functional.cross_entropy(model(indices).flatten(0, 1), indices.flatten())


def own_function(torch):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x ** 3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x ** 2

    (x,) = _parameters(torch, (3,))
    return (Cube.apply(x) + Cube.apply(x.exp())).sum()


def indexing_and_shared_nodes(torch):
    table, x = _parameters(torch, (6, 3), (2, 3))
    y = torch.stack([table[torch.tensor([0, 2])], x, x.flip(0)]).cumsum(0)
    mean, var = y.mean(0), y.var(0)
    return torch.where(mean > 0, mean * mean, var).logsumexp(1).norm()


def second_order(torch):
    (x,) = _parameters(torch, (3,))
    (gradient,) = torch.autograd.grad((x.sin() * x.exp()).sum(), x, create_graph=True)
    return (gradient ** 2).sum()


MODELS = [mlp, cnn, attention, recurrent, lstm_by_hand, writes_through_views, normalised,
          layers_of_images, layers_of_sequences, transformer, language_model, own_function,
          indexing_and_shared_nodes, second_order]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_both_engines_record_the_same_graph(model):
    import torch

    ours, theirs = model(candidate()), model(torch)
    found = viz.diff(ours, theirs)
    assert found.same, str(found)
    assert len(found.partners) == len(found.a.vertices) == len(found.b.vertices)
    assert str(found).startswith("the graphs are the same")
    a, b = (viz.draw(each, max_nodes=None).model for each in (ours, theirs))
    assert [(v.title, v.shape) for v in a.vertices if v.kind != "leaf"] == \
        [(v.title, v.shape) for v in b.vertices if v.kind != "leaf"]


def leaf():
    return candidate().ones(3, requires_grad=True)


def test_an_extra_chain():
    x = leaf()
    found = viz.diff((x * 2).tanh().sum(), (x * 2).exp().neg().tanh().sum())
    assert not found.same and found
    assert [(each.a, each.b and each.b.title) for each in found.differences] == [
        (None, "NegBackward0"), (None, "ExpBackward0")]
    assert str(found).splitlines()[0] == "2 differences; 3 ops agree"


def test_an_op_in_place_of_another():
    x = leaf()
    found = viz.diff((x * 2).sin().sum(), (x * 2).cos().sum())
    (difference,) = found.differences
    assert str(difference) == "SinBackward0 (3,) float32 in a, CosBackward0 (3,) float32 in b"


def test_shapes_that_differ():
    torch = candidate()
    a, b = (torch.ones(size, requires_grad=True).exp().sum() for size in (2, 3))
    assert "ExpBackward0 (2,) float32 in a, ExpBackward0 (3,) float32 in b" in str(viz.diff(a, b))
    assert viz.diff(a, b, shapes=False).same


def test_sharing_is_seen():
    x = leaf()
    once, twice = x.exp(), (x.exp(), x.exp())
    found = viz.diff(once * once, twice[0] * twice[1])
    assert not found.same and "used elsewhere" in str(found)


def test_an_input_without_gradient():
    torch = candidate()
    x, y = leaf(), torch.ones(3)
    assert "other inputs need gradients" in str(viz.diff(x * leaf(), x * y))


def test_a_missing_block_and_modules():
    torch = candidate()
    (three, indices), (two, _) = gpt(torch, blocks=3), gpt(torch, blocks=2)
    found = viz.diff(three, two, indices)
    assert all(each.b is None for each in found.differences)
    ops = [each.a for each in found.differences if each.a.kind == "op"]
    assert 40 < len(ops) < 60 and len(str(found).splitlines()) == 22


def test_the_picture_of_a_difference(tmp_path):
    x = leaf()
    found = viz.diff((x * 2).sum(), (x * 2).exp().sum())
    for _ in range(2):
        picture = found.draw()
    assert picture.render(str(tmp_path / "diff.svg")).endswith("diff.svg")
    assert "only in b" in picture.source and "only in a" not in picture.source
    assert picture.source.count(" -> ") == 5


# --- text ----------------------------------------------------------------------------------------

def test_the_tree():
    x = leaf()
    loss = ((x * x).sin() * x.exp()).mean()
    assert viz.tree(loss, {"x": x}) == """\
output: MeanBackward0 () float32
MulBackward0 (3,) float32, saves 24 B
├─ SinBackward0 (3,) float32, saves 12 B
│  MulBackward0 (3,) float32, saves 24 B
│  ├─ x (3,) float32, gradient not computed yet
│  └─ x (3,) float32, gradient not computed yet
└─ ExpBackward0 (3,) float32, saves 12 B
   x (3,) float32, gradient not computed yet""".replace("output", "loss")


def test_the_tree_says_shared_nodes_once():
    x = leaf()
    y = x.exp()
    z = (y * y).sum()
    assert viz.tree(z) == """\
z: SumBackward0 () float32
MulBackward0 (3,) float32, saves 24 B
├─ [1] ExpBackward0
└─ [1] ExpBackward0
[1]: ExpBackward0 (3,) float32, saves 12 B
x (3,) float32, gradient not computed yet"""
    assert viz.tree(z, depth=2) == """\
z: SumBackward0 () float32
MulBackward0 (3,) float32, saves 24 B  ... 2 more below"""
    z.backward()
    assert "saved values freed" in viz.tree(z) and "gradient norm 25.6" in viz.tree(z)


@pytest.mark.parametrize("model", [mlp, writes_through_views])
def test_the_tree_of_torch_is_ours(model):
    import torch

    ours, theirs = (viz.tree(model(library), names={}).splitlines()
                    for library in (candidate(), torch))
    names = [[line.split(", ")[0] for line in lines] for lines in (ours, theirs)]
    assert names[0] == names[1]


def test_a_tree_of_many_lines():
    model, indices = gpt(candidate())
    text = viz.tree(model, indices, max_lines=50)
    assert len(text.splitlines()) == 51 and "more lines; depth= or max_lines=" in text
    assert max(map(len, viz.tree(model, indices, max_lines=9999).splitlines())) < 120
