"""The stand-in for CuPy refuses what CuPy refuses, and gives what CuPy gives."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from parity_tests.fake_cupy import cupy, cupyx
from parity_tests.fake_cupy.modules import MODULES, NAMES

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_the_array_has_no_name_that_cupys_lacks():
    names = {name for name in dir(cupy.ndarray) if not name.startswith("_")}
    assert names <= set(NAMES["ndarray"])
    assert not issubclass(cupy.ndarray, np.ndarray)


@pytest.mark.parametrize("module, name", [
    ("cupy", "vecdot"), ("cupy", "matvec"), ("cupy", "object_"), ("cupy", "longdouble"),
    ("cupy", "errstate"), ("cupy.linalg", "vecdot"), ("cupyx.scipy.special", "jv"),
])
def test_names_that_cupy_lacks(module, name):
    with pytest.raises(AttributeError):
        getattr(MODULES[module], name)


@pytest.mark.parametrize("convert", [
    np.asarray, np.array, lambda x: np.frombuffer(x), lambda x: X.__setitem__(0, x[0]),
])
def test_no_implicit_way_to_numpy(convert):
    with pytest.raises(TypeError):
        convert(cupy.asarray(X))
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed. "):
        np.asarray(cupy.asarray(X))


@pytest.mark.parametrize("mix", [
    lambda x: x + X, lambda x: X + x, lambda x: cupy.add(x, X), lambda x: np.add(X, x),
    lambda x: x.__iadd__(X), lambda x: cupy.concatenate([x, X]), lambda x: x @ X.T,
    lambda x: X @ x.T, lambda x: cupy.exp(X), lambda x: cupy.sum(X), lambda x: x == X,
    lambda x: cupy.where(x > 0, x, X), lambda x: cupy.add(x, x, out=X),
    lambda x: x + [1.0, 2.0, 3.0], lambda x: cupy.exp([1.0]), lambda x: x == None,  # noqa: E711
])
def test_no_numpy_array_among_cupys(mix):
    with pytest.raises(TypeError):
        mix(cupy.asarray(X))


@pytest.mark.parametrize("call", [
    lambda x: cupy.add(x, x, where=x > 0), lambda x: cupy.sum(x, where=x > 0),
    lambda x: cupy.sum(x, initial=1), lambda x: cupy.take(x, 0, mode="clip"),
    lambda x: x.sum(where=x > 0), lambda x: x.item(0),
    lambda x: cupy.linalg.cholesky(x, upper=True),
    lambda x: cupy.lib.stride_tricks.as_strided(x, (1,), (4,), writeable=False),
])
def test_no_argument_that_cupys_lacks(call):
    with pytest.raises(TypeError):
        call(cupy.asarray(X))


def test_scalars_of_python_and_numpy_mix():
    x = cupy.asarray(X)
    for y in (x + 1, 2 * x, np.float32(2) * x, x - np.float32(1), 1 / (x + 1), x ** 2, x > 1):
        assert type(y) is cupy.ndarray
    assert (x * 2.0).dtype == np.float32
    assert np.array_equal((1 - x).get(), 1 - X)


@pytest.mark.parametrize("reduce", [
    lambda x: x.sum(), lambda x: x.max(), lambda x: x[0, 0], lambda x: cupy.mean(x),
    lambda x: cupy.exp(x[1, 2]), lambda x: cupy.argmax(x), lambda x: cupy.allclose(x, x),
    lambda x: cupy.array_equal(x, x), lambda x: cupy.count_nonzero(x), lambda x: x.sum() + 1.0,
    lambda x: cupy.linalg.norm(x), lambda x: cupy.dot(x[0], x[0]),
    lambda x: cupy.float32(1) + x[0, 0],
])
def test_what_is_left_of_a_reduction_is_an_array(reduce):
    result = reduce(cupy.asarray(X))
    assert type(result) is cupy.ndarray and result.shape == ()
    assert isinstance(result.item(), int | float)


def test_to_the_host_and_back():
    x = cupy.asarray(X)
    host = x.get()
    host[0, 0] = 100
    assert x[0, 0].item() == 0 and X[0, 0] == 0
    assert type(cupy.asnumpy(x)) is np.ndarray and np.array_equal(cupy.asnumpy(x), X)
    assert float(x[0, 1]) == 1.0 and bool(x[0, 1]) and not hasattr(x, "__index__")
    assert np.array_equal(pickle.loads(pickle.dumps(x)).get(), X)
    assert np.array_equal(copy.deepcopy(x).get(), X)
    assert cupy.get_array_module(x) is cupy and cupy.get_array_module(X) is np
    with pytest.raises(ValueError, match="Unsupported dtype object"):
        cupy.asarray(np.array([None]))


def test_views_share_memory_and_know_their_base():
    x = cupy.zeros((3, 4))
    row, corner, cast = x[1], x[2, 3], x.view(np.int64)
    assert row.base is x and corner.base is x and cast.base is x and x.base is None
    assert row.T[::2].base is x and (x + 1).base is None
    row += 1
    corner[...] = 5
    assert x.get().sum() == 9
    assert row.data.ptr == x.data.ptr + x.strides[0]
    assert row.flags.c_contiguous and not x.T.flags.c_contiguous
    windows = cupy.lib.stride_tricks.as_strided(x, (2, 2), (8, 8))
    windows[0, 0] = -1
    assert x[0, 0].item() == -1 and windows.base is x
    assert x[[0, 1]].base is None and x[cupy.asarray(0)].base is None  # arrays in an index copy


def test_assignment():
    x = cupy.zeros((2, 3), np.float32)
    x[0] = 1
    x[1, :2] = cupy.asarray([2.0, 3.0])
    x[x == 0] = 9
    assert x.get().tolist() == [[1, 1, 1], [2, 3, 9]]
    with pytest.raises(ValueError, match="non-scalar numpy.ndarray cannot be used for fill"):
        x[0] = np.ones(3)
    with pytest.raises(TypeError, match="Unsupported type <class 'list'>"):
        x[0] = [1.0, 2.0, 3.0]


def test_what_cupy_leaves_undefined_is_not_numpys():
    x, i = cupy.zeros(3), np.array([1, 1, 2])
    x[i] = cupy.asarray([5.0, 6.0, 7.0])
    assert x.get().tolist() == [0, 5, 7]  # NumPy keeps the 6
    assert x[cupy.asarray([4, -1])].get().tolist() == [5, 7]  # indices wrap; NumPy raises
    assert x.take(cupy.asarray([5])).get().tolist() == [7]


def test_scatter():
    x = cupy.zeros(3, np.float32)
    index = cupy.asarray([1, 1, 2])
    cupyx.scatter_add(x, index, cupy.asarray([1.0, 2.0, 4.0]))
    cupy.add.at(x, index, 1)
    assert x.get().tolist() == [0, 5, 5]
    for call in (lambda: cupyx.scatter_add(cupy.zeros(3, np.int64), index, 1),
                 lambda: cupyx.scatter_max(cupy.zeros(3, np.float16), index, 1)):
        with pytest.raises(TypeError, match="only supports"):
            call()
    with pytest.raises(NotImplementedError, match="`cupy_multiply.at` is not supported yet"):
        cupy.multiply.at(x, index, 2)
    with pytest.raises(NotImplementedError, match="`cupy_maximum.reduce` is not supported yet"):
        cupy.maximum.reduce(x)


def test_numpys_functions_hand_over():
    x = cupy.asarray(X)
    for result in (np.exp(x), np.concatenate([x, x]), np.sum(x), np.linalg.norm(x)):
        assert type(result) is cupy.ndarray
    with pytest.raises(TypeError):
        np.unstack(x)


def test_special_functions():
    special = MODULES["cupyx.scipy.special"]
    values = special.erf(cupy.asarray(X))
    assert type(values) is cupy.ndarray and values.dtype == np.float32
    with pytest.raises(TypeError):
        special.erf(X)


def test_linear_algebra_fails_unnoticed():
    singular = cupy.zeros((2, 2))
    assert np.isnan(cupy.linalg.inv(singular).get()).all()
    with cupyx.errstate(linalg="raise"), pytest.raises(np.linalg.LinAlgError):
        cupy.linalg.inv(singular)


def test_the_device():
    assert cupy.cuda.runtime.getDeviceCount() == 1 and cupy.cuda.is_available()
    x = cupy.zeros(1000)
    assert x.device.id == 0 and x.device == cupy.cuda.Device()
    with cupy.cuda.Device(0):
        cupy.cuda.Stream.null.synchronize()
    pool = cupy.get_default_memory_pool()
    before = pool.used_bytes()
    y = x + 1
    assert pool.used_bytes() - before == 8192  # 8000 bytes, rounded up to blocks of 512
    view = y[1:]
    del y
    assert pool.used_bytes() - before == 8192 and view.size == 999
    del view
    assert pool.used_bytes() == before
