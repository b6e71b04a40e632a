"""nn.Parameter and nn.Buffer: tensors that a module registers."""

from __future__ import annotations

import copy
import pickle

from parity_tests.harness import program


def test_buffers():
    def run(torch):
        nn = torch.nn
        model = nn.Module()
        buffer = nn.Buffer(torch.ones(2), persistent=False)
        model.a = buffer
        model.register_buffer("b", torch.zeros(1), persistent=False)
        found = [isinstance(buffer, nn.Buffer), isinstance(torch.ones(1), nn.Buffer),
                 isinstance(buffer, nn.Parameter), type(buffer).__name__, buffer.persistent,
                 model.a is buffer, list(model.state_dict()), nn.Buffer(), repr(nn.Buffer())]
        model.a = torch.ones(3)     # stays what it was: not persistent
        model.b = nn.Buffer(torch.ones(1))
        found += [list(model.state_dict()), isinstance(model.a, nn.Buffer)]
        twin = copy.deepcopy(model)
        model.double()
        found += [isinstance(twin.b, nn.Buffer), twin.b.persistent, isinstance(model.b, nn.Buffer),
                  list(twin.state_dict())]
        model.register_buffer("a", torch.ones(1))
        del model.b
        model.b = nn.Buffer(torch.ones(1), persistent=False)
        return [*found, list(model.state_dict()), list(model._buffers)]

    program(run)


def test_parameters():
    def run(torch):
        nn = torch.nn
        source = torch.ones(2)
        parameter = nn.Parameter(source)
        with torch.no_grad():
            source.add_(1)
        frozen = nn.Parameter(torch.arange(3), requires_grad=False)
        twin = copy.deepcopy(parameter)
        memo = {}
        pair = [copy.deepcopy(parameter, memo), copy.deepcopy(parameter, memo)]
        loaded = pickle.loads(pickle.dumps([parameter, parameter, frozen]))
        return (repr(parameter), repr(frozen), repr(nn.Parameter()), parameter, twin,
                type(twin).__name__, pair[0] is pair[1], type(loaded[2]).__name__, loaded,
                isinstance(parameter, torch.Tensor), isinstance(source, nn.Parameter),
                type(parameter.data).__name__, type(parameter.detach()).__name__,
                type(parameter * 1).__name__, (parameter + 1).requires_grad)

    program(run)
