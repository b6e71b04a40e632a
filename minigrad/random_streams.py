"""torch's CPU random numbers, bit for bit, as NumPy arrays.

`Generator` is the Mersenne Twister with torch's seeding, state and two ways of making a number of
words: 24 bits for a float32, 53 for a float64. Below it, one function for each distribution says
which words it takes and what it makes of them (the rejection methods are in random_rejection.py).
All take the generator first and return a flat array in **memory order**: a fill of a transposed
tensor follows its strides, so it is for the caller to lay the numbers out. Arguments are not
checked here but in ops/random.py.

On a GPU the numbers are drawn here and copied there, so a program makes the same ones on either
device (CUDA's own stream, Philox, is another one altogether).
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from . import device as devices
from .core import TensorBase, wrap
from .random_kernels import FLOAT32, FLOAT64, box_muller_blocks, cast, fma, shuffle

# Note [Words]
# mt19937 makes 32-bit words; NumPy has the same engine and seeds it the same way. What torch makes
# of the words:
#     raw      one word
#     raw64    two words, the first one high
#     u24      the low 24 bits of a word, as a float32 in [0, 1)
#     u53      the low 53 bits of two words, as a float64 in [0, 1)
# How many words an element takes is part of the stream: all that is drawn later depends on it. It
# is a property of the distribution and of the width of the dtype, and never of the number of
# threads.

# Note [The cached normal]
# Box-Muller makes normals in pairs. One by one, torch returns the first and keeps the second for
# the next call, in double and for mean 0 and std 1, whatever the dtype; manual_seed drops it and
# the state carries it. Blocks of 16 (see `normal`) neither read nor clear it: `randn(3); randn(16);
# randn(1)` returns the cached fourth value last.

_DEFAULT_SEED = 67280421310721
_STATE = np.dtype({  # torch.get_rng_state(); the gaps are padding and what the CPU never sets
    "names": ["seed", "left", "seeded", "next", "key", "normal", "has_normal"],
    "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", 624), "<f8", "<i4"],
    "offsets": [0, 8, 12, 16, 24, 5024, 5040],
    "itemsize": 5056,
})
_LOW_24, _LOW_53 = np.uint32(2**24 - 1), np.uint64(2**53 - 1)
_FEW_WORDS = 4096  # up to here random_raw has the smaller overhead; randint makes 32-bit arrays


class Generator:
    """A stream of random numbers that starts from a seed: torch.Generator, but for tensors.

    Only the low 32 bits of the seed matter. NumPy's engine is made when the first word is asked
    for: numpy.random takes longer to import than minigrad does.
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = devices.device(device)
        self.cached_normal: float | None = None  # see Note [The cached normal]
        self._seed = _DEFAULT_SEED
        self._fresh = True  # no word drawn since it was seeded
        self._engine: Any = None
        self._words: Any = None

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from `seed`, -2**63 to 2**64 - 1; a negative one counts from 2**64 down."""
        if isinstance(seed, np.integer):
            raise TypeError("an integer is required")
        if not isinstance(seed, int) or isinstance(seed, bool):
            kind = type(seed)
            name = kind.__name__ if kind.__module__ != "numpy" else f"numpy.{kind.__name__}"
            raise RuntimeError(f"manual_seed expected a long, but got {name}")
        if not -2**63 <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        self._seed = seed % 2**64
        self._fresh, self.cached_normal = True, None
        if self._words is not None:
            self._words.seed(self._seed & 0xFFFFFFFF)
        return self

    def seed(self) -> int:
        """Start anew from 64 bits of the operating system's, which are returned."""
        return self.manual_seed(int.from_bytes(os.urandom(8), "little")).initial_seed()

    def initial_seed(self) -> int:
        """The seed, all 64 bits of it."""
        return self._seed

    def _start(self) -> None:
        self._engine = np.random.MT19937(0)
        self._words = np.random.RandomState(self._engine)
        self._words.seed(self._seed & 0xFFFFFFFF)

    # The state, as the 5056 bytes that torch.get_rng_state() returns

    def state_bytes(self) -> np.ndarray:
        """The whole state as torch lays it out: a uint8 array of 5056."""
        if self._engine is None:
            self._start()
        engine = self._engine.state["state"]
        state = np.zeros(1, _STATE)
        state["seed"], state["key"], state["seeded"] = self._seed, engine["key"], 1
        state["left"] = 625 - engine["pos"]
        state["next"] = 0 if self._fresh else engine["pos"]
        if self.cached_normal is not None:
            state["normal"], state["has_normal"] = self.cached_normal, 1
        return state.view(np.uint8)

    def load_state_bytes(self, array: np.ndarray) -> None:
        """Go on from the state in `array`, 5056 bytes from here or from torch."""
        if array.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if array.size != _STATE.itemsize:
            raise RuntimeError("Expected a CPUGeneratorImplState of size 5056 but found the input "
                               f"RNG state size to be {array.size}")
        state = np.ascontiguousarray(array).reshape(-1).view(_STATE)[0]
        left, position = int(state["left"]), int(state["next"])
        block_used_up = left == 1  # then `next` is 0 in a fresh generator and 624 in others
        if not (state["seeded"]
                and (left + position == 625 or block_used_up and position <= 624)):
            raise RuntimeError("Invalid mt19937 state")
        if self._engine is None:
            self._start()
        self._engine.state = {"bit_generator": "MT19937", "state": {
            "key": state["key"].astype(np.uint32), "pos": 624 if block_used_up else position}}
        self._seed = int(state["seed"])
        self._fresh = block_used_up and position == 0
        self.cached_normal = float(state["normal"]) if state["has_normal"] else None

    def get_state(self) -> Any:
        """The whole state as a uint8 tensor: what `set_state` takes, here and in torch."""
        return wrap(self.state_bytes())

    def set_state(self, new_state: Any) -> Generator:
        """Go on from a state that `get_state` returned."""
        if not isinstance(new_state, TensorBase):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        self.load_state_bytes(new_state._data)
        return self

    def clone_state(self) -> Generator:
        """Another generator in the same state."""
        clone = type(self)(self.device)
        clone.load_state_bytes(self.state_bytes())
        return clone

    def __reduce__(self):
        return type(self), (self.device,), self.state_bytes()

    __setstate__ = load_state_bytes

    # Words and what is made of them: see Note [Words]

    def raw(self, n: int) -> np.ndarray:
        """The next n words: uint32."""
        if self._engine is None:
            self._start()
        if n:
            self._fresh = False
        if n <= _FEW_WORDS:
            return self._engine.random_raw(n).astype(np.uint32)
        return self._words.randint(0, 2**32, n, np.uint32)

    def raw64(self, n: int) -> np.ndarray:
        """The next n pairs of words, the first one high: uint64."""
        words = self.raw(2 * n)
        pairs = words[0::2].astype(np.uint64)
        pairs <<= np.uint64(32)
        pairs |= words[1::2]
        return pairs

    def u24(self, n: int) -> np.ndarray:
        """The next n multiples of 2**-24, uniform in [0, 1): float32."""
        words = self.raw(n)
        words &= _LOW_24
        uniforms = words.view(np.int32).astype(np.float32)  # converts faster than unsigned
        uniforms *= np.float32(2.0**-24)
        return uniforms

    def u53(self, n: int) -> np.ndarray:
        """The next n multiples of 2**-53, uniform in [0, 1): float64."""
        pairs = self.raw64(n)
        pairs &= _LOW_53
        uniforms = pairs.view(np.int64).astype(np.float64)
        uniforms *= 2.0**-53
        return uniforms

    def next_u53(self) -> float:
        """The next u53, as a Python float: for the loops of the rejection methods."""
        if self._engine is None:
            self._start()
        self._fresh = False
        raw = self._engine.random_raw
        return ((raw() << 32 | raw()) & 0x1FFFFFFFFFFFFF) * 2.0**-53

    def next_normal(self) -> float:
        """The next standard normal, the cached one if there is one."""
        normal, self.cached_normal = self.cached_normal, None
        if normal is None:
            angle = 2 * math.pi * self.next_u53()
            radius = math.sqrt(-2 * math.log1p(-self.next_u53()))
            normal, self.cached_normal = radius * math.cos(angle), radius * math.sin(angle)
        return normal


default_generator = Generator()
default_generator.seed()


# ---- uniform numbers and integers


def uniform(generator: Generator, n: int, dtype: np.dtype, low: float = 0.0,
            high: float = 1.0) -> np.ndarray:
    """u (high - low) + low, u = u53 for float64, u24 for others; complex: twice as many reals."""
    if dtype.kind == "c":
        return uniform(generator, 2 * n, _real(dtype), low, high).view(dtype)
    u = generator.u53(n) if dtype == FLOAT64 else generator.u24(n)
    number = u.dtype.type
    low, high = number(low), number(high)
    values = cast(u if low == 0 and high == 1 else fma(u, high - low, low), dtype)
    if low == 0 and high == 1 and dtype.itemsize > 2:
        return values  # below 1 by construction
    low, high = cast(np.array([low, high]), dtype)
    values[values == high] = low  # rounded up to the excluded end
    return values


def _real(dtype: np.dtype) -> np.dtype:
    return FLOAT32 if dtype == np.complex64 else FLOAT64


_DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


def largest_integer(dtype: np.dtype) -> int:
    """The largest integer that random_() makes: the dtype's own, or 2**digits for floats."""
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).max)
    return 1 if dtype.kind == "b" else 2 ** _DIGITS[dtype.name]


def representable_bounds(dtype: np.dtype, low: int, high: int) -> tuple[int, int]:
    """(low, high) of a range of integers, moved together until rounding to the float dtype cannot
    leave it."""
    if dtype.name not in _DIGITS:
        return low, high
    digits = _DIGITS[dtype.name]
    after_low, before_high = (float(x) for x in cast(np.array([low + 1, high - 1]), dtype))
    if -2.0**63 <= after_low < low:
        low = int(after_low) + (1 << (low + 1).bit_length() - digits)
    if high <= before_high < 2.0**63:
        high = int(before_high) - (1 << (high - 1).bit_length() - digits)
    return low, high


def random_integers(generator: Generator, n: int, dtype: np.dtype, low: int | None = None,
                    high: int | None = None) -> np.ndarray:
    """low + raw % (high - low), from raw64 if the range is 2**28 or more.

    This is random_(low, high) and randint. Without `high` up to `largest_integer(dtype)`;
    `random_(-2**63, None)` takes raw64 as it is. Without `low` from 0 up to there, and then the
    dtype's width decides: raw64 for the 8-byte dtypes only.
    """
    if low is None:
        size = largest_integer(dtype) + 1
        low, wide = 0, dtype.itemsize == 8
    elif high is None and low == -2**63:
        return cast(generator.raw64(n).view(np.int64), dtype)
    else:
        if high is None:
            low, _ = representable_bounds(dtype, low, 1)
            high = largest_integer(dtype) + 1
        else:
            low, high = representable_bounds(dtype, low, high)
        size = high - low
        wide = size >= 2**28
    if wide:
        integers = generator.raw64(n)
        integers %= np.uint64(size)
        integers = integers.view(np.int64)
    else:
        integers = (generator.raw(n) % np.uint32(size)).astype(np.int64)
    integers += low
    return cast(integers, dtype)


_WIDE_PERMUTATION = 2**32 // 20  # from this n on the modulo of one word would be too uneven


def randperm(generator: Generator, n: int, dtype: np.dtype) -> np.ndarray:
    """0 ... n-1 shuffled: for i < n - 1, swap p[i] with p[i + raw % (n - i)].

    From `_WIDE_PERMUTATION` elements on torch swaps the other way: for i < n, p[i] with
    p[raw64 % (i + 1)]. Read backwards, from the last swap to the first and from the last place to
    the first, that is the shuffle again; and swaps undone backwards make the inverse permutation.
    """
    if n >= _WIDE_PERMUTATION:
        targets = (generator.raw64(n) % np.arange(1, n + 1, dtype=np.uint64)).view(np.int64)
        inverse = n - 1 - shuffle(n - 1 - targets[::-1])[::-1]
        permutation = np.empty(n, np.int64)
        permutation[inverse] = np.arange(n)
        return cast(permutation, dtype)
    targets = np.arange(n)
    targets[:-1] += generator.raw(max(n - 1, 0)) % np.arange(n, 1, -1, dtype=np.uint32)
    return cast(shuffle(targets), dtype)


def bernoulli(generator: Generator, n: int, dtype: np.dtype, p: float) -> np.ndarray:
    """u53 < p, in every dtype; drawn for p = 0 and p = 1 too."""
    return cast(generator.u53(n) < p, dtype)


def bernoulli_each(generator: Generator, p: np.ndarray,
                   dtype: np.dtype | None = None) -> np.ndarray:
    """u53 < p for float64, u24 < p for other dtypes. The result is of p's dtype or of `dtype`."""
    p = p.reshape(-1)
    if p.dtype == FLOAT64:
        hits = generator.u53(p.size) < p
    else:
        hits = generator.u24(p.size) < p.astype(np.float32, copy=False)
    return cast(hits, p.dtype if dtype is None else dtype)


# ---- normal numbers


def normal(generator: Generator, n: int, dtype: np.dtype, mean: float = 0.0, std: float = 1.0,
           contiguous: bool = True) -> np.ndarray:
    """z std + mean: one by one in double for fewer than 16 elements or an output with gaps, else in
    blocks of 16.

    Blocks (see Note [The vectorised normal]) take a u24 or u53 each. If n is no multiple of 16, 16
    *new* words replace the last 16 values; a float16 or bfloat16 output does not even draw the
    ragged end's first words. A complex number is two reals of std / sqrt(2).
    """
    if dtype.kind == "c":
        std = std / math.sqrt(2)
        return normal(generator, 2 * n, _real(dtype), mean, std, contiguous).view(dtype)
    if n < 16 or not contiguous:
        return cast(fma(_standard_normals(generator, n), std, mean), dtype)
    draw = generator.u53 if dtype == FLOAT64 else generator.u24
    ragged = n % 16
    uniforms = draw(n if dtype.itemsize > 2 else n - ragged)[:n - ragged]
    normals = cast(box_muller_blocks(uniforms, mean, std), dtype)
    if ragged:
        last = cast(box_muller_blocks(draw(16), mean, std), dtype)
        normals = np.concatenate([normals[:n - 16], last])
    return normals


def _standard_normals(generator: Generator, n: int) -> np.ndarray:
    """`next_normal` n times, as float64."""
    if n < 16:
        return np.array([generator.next_normal() for _ in range(n)], np.float64)
    normals = np.empty(n + 2)
    start = 0
    if generator.cached_normal is not None:
        normals[0], start = generator.cached_normal, 1
    pairs = (n - start + 1) // 2
    uniforms = generator.u53(2 * pairs)
    angle = 2 * math.pi * uniforms[0::2]
    radius = np.sqrt(-2 * np.log1p(-uniforms[1::2]))
    np.multiply(radius, np.cos(angle), out=normals[start:start + 2 * pairs:2])
    np.multiply(radius, np.sin(angle), out=normals[start + 1:start + 2 * pairs:2])
    generator.cached_normal = float(normals[n]) if start + 2 * pairs > n else None
    return normals[:n]


def log_normal(generator: Generator, n: int, dtype: np.dtype, mean: float = 1.0,
               std: float = 2.0) -> np.ndarray:
    """exp(z std + mean), with the normals drawn one by one."""
    return cast(np.exp(fma(_standard_normals(generator, n), std, mean)), dtype)


# ---- one u53 an element, through the inverse of the distribution function


def exponential(generator: Generator, n: int, dtype: np.dtype, rate: float = 1.0) -> np.ndarray:
    """-log(1 - u) / rate."""
    values = generator.u53(n)
    np.negative(values, out=values)
    np.log1p(values, out=values)
    values *= -1.0 / rate
    return cast(values, dtype)


def geometric(generator: Generator, n: int, dtype: np.dtype, p: float) -> np.ndarray:
    """ceil(log(u) / log(1 - p)): trials until the first success."""
    return cast(np.ceil(np.log(generator.u53(n)) / math.log1p(-p)), dtype)


def cauchy(generator: Generator, n: int, dtype: np.dtype, median: float = 0.0,
           sigma: float = 1.0) -> np.ndarray:
    """median + sigma tan(pi (u - 1/2))."""
    return cast(fma(np.tan(math.pi * (generator.u53(n) - 0.5)), sigma, median), dtype)


# ---- choices


def multinomial(generator: Generator, p: np.ndarray, num_samples: int,
                replacement: bool = False) -> np.ndarray:
    """Indices into each row of the weights p, (rows, categories): int64, (rows, num_samples).

    Without replacement, or of one sample, a race: category j takes the time q_j / p_j, q
    exponential, and the fastest win, best first. Else each sample looks a u53 up in the row's
    cumulative sum.
    """
    if not replacement or num_samples == 1:
        noise = exponential(generator, p.size, p.dtype).reshape(  # the noise has p's layout
            p.shape, order="F" if p.strides[0] < p.strides[1] else "C")
        return np.argsort(-(p / noise), axis=1, kind="stable")[:, :num_samples]
    cumulative = np.cumsum(p, axis=1, dtype=np.promote_types(p.dtype, np.float32))
    cumulative /= cumulative[:, -1:]
    cumulative[:, -1] = 1
    samples = np.empty((len(p), num_samples), np.int64)
    for row, sums in zip(samples, cumulative.astype(np.float64), strict=True):
        row[:] = np.searchsorted(sums, generator.u53(num_samples))
    return samples
