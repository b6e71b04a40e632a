"""What the tests of files share: writing and reading in memory, what a program would keep."""

from __future__ import annotations

import io
import zipfile

from parity_tests import harness


def place():
    return "cpu" if harness.DEVICE == "cpu" else "cuda"


def bytes_of(lib, value, **options):
    file = io.BytesIO()
    lib.save(value, file, **options)
    return file.getvalue()


def loaded(lib, data, **options):
    return lib.load(io.BytesIO(data), **options)


def training_state(lib):
    """What a program keeps: parameters, the optimizer's state, counters, names."""
    lib.manual_seed(0)
    model = lib.nn.Sequential(lib.nn.BatchNorm1d(3), lib.nn.Linear(3, 4), lib.nn.Linear(4, 2))
    optimizer = lib.optim.Adam(model.parameters(), lr=0.1)
    model(lib.randn(5, 3)).square().sum().backward()
    optimizer.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3,
            "losses": [0.5, 0.25], "name": "näive", "best": None, "done": False}


def rewritten(data, records):
    """The zip file with other contents in some records."""
    source, file = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for info in source.infolist():
            name = info.filename.partition("/")[2]
            target.writestr(info.filename, records.get(name, source.read(info)))
    return file.getvalue()
