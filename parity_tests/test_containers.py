"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from parity_tests.harness import check_error, program


def tagged(torch, *tags):
    return [torch.nn.Threshold(tag, 0.0) for tag in tags]


def sequential(torch):
    nn = torch.nn
    chain = nn.Sequential(*tagged(torch, 0, 1, 2))
    found = [repr(chain), len(chain), chain[1].threshold, chain[-1].threshold, repr(chain[1:])]
    chain.append(tagged(torch, 3)[0]).extend(tagged(torch, 4, 5)).insert(1, nn.ReLU())
    found.append(repr(chain))
    chain[0] = nn.Tanh()
    del chain[2]
    del chain[-2:]
    found += [repr(chain), repr(chain.pop(0)), repr(chain), list(chain._modules)]
    found += [repr(chain + nn.Sequential(nn.ReLU())), repr(nn.Sequential()),
              [type(each).__name__ for each in chain]]
    chain += nn.Sequential(nn.GELU())
    triple = 3 * nn.Sequential(nn.ReLU(), nn.Linear(1, 1))
    found += [repr(triple), triple[1] is triple[3], repr(triple * 2), len(list(triple.modules()))]
    triple *= 2
    found += [len(triple), triple[1] is triple[9], len(list(triple.modules(False)))]
    named = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), second=nn.ReLU()))
    found += [repr(chain), repr(named), repr(named[:1]), named.first is named[0], list(
        named.state_dict()), named(torch.ones(1, 2))]
    return found


def module_list(torch):
    nn = torch.nn
    group = nn.ModuleList(tagged(torch, 0, 0, 1, 2, 2))
    found = [repr(group), len(group), repr(group[1:3]), group[-1].threshold, repr(nn.ModuleList())]
    group.append(nn.ReLU())
    group.extend(tagged(torch, 7))
    group.insert(0, nn.Tanh())
    group += tagged(torch, 8)
    found += [repr(group), repr(group + [nn.Sigmoid()]), list(group._modules)]
    group[1] = nn.Sequential(nn.ReLU(), nn.Linear(1, 1))
    del group[2:4]
    del group[0]
    found += [repr(group), repr(group.pop(1)), repr(group), group[0] in group]
    group.extend(list(group))
    return [*found, repr(group), group.insert(2, nn.GELU()), repr(group), len(dir(group)) > 10]


def module_dict(torch):
    nn = torch.nn
    table = nn.ModuleDict({"b": nn.ReLU(), "a": nn.Linear(1, 2)})
    table["c"] = nn.Tanh()
    table.update([["d", nn.GELU()], ("e", nn.SiLU())])
    table.update(nn.ModuleDict({"f": nn.Identity()}))
    found = [repr(table), len(table), list(table), list(table.keys()), "a" in table, "z" in table,
             [(key, type(each).__name__) for key, each in table.items()],
             [type(each).__name__ for each in table.values()], list(table.state_dict())]
    del table["b"]
    found += [type(table.pop("c")).__name__, repr(table), table["a"] is table.a]
    table.clear()
    return found + [len(table), repr(table)]


def parameter_list(torch):
    nn = torch.nn
    group = nn.ParameterList([nn.Parameter(torch.ones(2)), torch.zeros(1, 3)])
    group.append(torch.ones(2, 2))
    group += [torch.zeros(4)]
    group.append("note")
    group[0] = nn.Parameter(torch.full((2,), 5.0, dtype=torch.float64))
    buffers = nn.ParameterList()
    buffers.register_buffer("0", torch.ones(2))
    buffers._size = 1
    return [repr(group), repr(buffers), repr(nn.ParameterList(["a", 3])[:1]),
            len(group), group[1], group[-2], list(group[1:3]),
            list(group.parameters()), list(group.state_dict()),
            [name for name, _ in group.named_parameters()],
            repr(nn.ParameterList())]


def parameter_dict(torch):
    nn = torch.nn
    table = nn.ParameterDict({"right": nn.Parameter(torch.zeros(1, 3)), "left": torch.ones(2)})
    table["more"] = torch.ones(3)
    table.update({"note": 4})
    found = [repr(table), len(table), list(table), "left" in table, table["right"], table.left,
             list(table.keys()), list(table.values()), list(table.items()),
             list(table.state_dict()), table.get("absent"), table.get("absent", 3)]
    found += [table.pop("more"), repr(table)]
    del table["left"]
    other = nn.ParameterDict([("x", 1), ("note", 5)])
    joined = table | other
    found += [repr(joined), joined["note"], repr({"first": 0} | joined), repr(table)]
    joined |= {"b": 1, "a": torch.ones(1)}
    found += [list(joined), type(joined["a"]).__name__, list(joined.named_parameters())]
    joined.clear()
    found += [len(joined), list(joined.parameters())]
    return [*found, repr(table), table.setdefault("new", torch.ones(1)), list(table.copy()),
            list(table.fromkeys(["x"], 2.0)), table.popitem()[0], list(reversed(table))]


@pytest.mark.parametrize("build", [sequential, module_list, module_dict, parameter_list,
                                   parameter_dict], ids=lambda f: f.__name__)
def test_container(build):
    program(build)


WRONG_CONTAINERS = [
    lambda nn: nn.Sequential(3),
    lambda nn: nn.Sequential(nn.ReLU())[1],
    lambda nn: nn.Sequential(nn.ReLU()).insert(5, nn.ReLU()),
    lambda nn: nn.Sequential(nn.ReLU()) + 3,
    lambda nn: nn.Sequential(nn.ReLU())(),
    lambda nn: nn.Sequential(nn.ReLU()) * 0,
    lambda nn: nn.Sequential(nn.ReLU()) * "a",
    lambda nn: nn.Sequential(nn.ReLU()) * 1.5,
    lambda nn: nn.Sequential(nn.ReLU()).__imul__(-1),
    lambda nn: nn.Sequential(nn.ReLU()).__imul__(None),
    lambda nn: nn.Sequential(nn.ReLU()).insert(0, 3),
    lambda nn: nn.Sequential(nn.ReLU()).append("word"),
    lambda nn: nn.Sequential(nn.ReLU()).__setitem__(0, 3),
    lambda nn: nn.Sequential(nn.ReLU())["0"],
    lambda nn: nn.ModuleList([nn.ReLU()]).insert(-1, nn.ReLU()),
    lambda nn: nn.ModuleList([nn.ReLU()]).__delitem__(3),
    lambda nn: nn.ModuleDict({"a": nn.ReLU()}).pop("b"),
    lambda nn: nn.ModuleDict([3]),
    lambda nn: nn.ModuleDict({3: nn.ReLU()}),
    lambda nn: nn.ParameterDict().popitem(),
    lambda nn: nn.ParameterDict() | 3,
    lambda nn: nn.ParameterDict([3]),
    lambda nn: nn.ParameterDict([("a", 1, 2)]),
    lambda nn: nn.ParameterDict({"a": 1}).pop("b"),
    lambda nn: nn.ParameterList([1]).__setitem__(4, 1),
    lambda nn: nn.ModuleList([nn.ReLU()])[-2],
    lambda nn: nn.ModuleList([3]),
    lambda nn: nn.ModuleList(nn.ReLU()),
    lambda nn: nn.ModuleList([nn.ReLU()])(1),
    lambda nn: nn.ModuleDict({"a": 3}),
    lambda nn: nn.ModuleDict()["a"],
    lambda nn: nn.ModuleDict(3),
    lambda nn: nn.ModuleDict({"keys": nn.ReLU()}),
    lambda nn: nn.ModuleDict([("a",)]),
    lambda nn: nn.ParameterList([])[0],
    lambda nn: nn.ParameterList(3),
    lambda nn: nn.ParameterList([])(1),
    lambda nn: nn.ParameterDict()["a"],
    lambda nn: nn.ParameterDict({3: 1}),
    lambda nn: nn.ParameterDict()(1),
]


@pytest.mark.parametrize("number", range(len(WRONG_CONTAINERS)))
def test_wrong_container(number):
    check_error([], lambda torch: WRONG_CONTAINERS[number](torch.nn))
