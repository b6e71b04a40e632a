"""The graph that a call of an op records, drawn small.

What an op is called with is guessed from the names of its arguments; an op that takes none of the
guesses gets no picture.
"""

from __future__ import annotations

import functools
import html
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import minigrad
from minigrad.core import AccumulateGrad

SHAPES = [(3,), (3, 3), (2, 3, 4), (1, 4, 4, 4), (1, 4, 4, 4, 4), (2, 2), (2, 3), (4, 4), ()]
MOST_NODES = 16

# Arguments that are no tensors of numbers, by name; a tuple is a choice.
VALUES: dict[str, tuple] = {
    "dim": (0, (0,)), "dims": ((0,), (0, 1), (1, 0)), "dim0": (0,), "dim1": (1,), "axis": (0,),
    "axis0": (0,), "axis1": (1,), "source": (0,), "destination": (1,), "start": (0,),
    "end": (2,), "length": (2,), "size": ((3,), 2, (3, 3)), "shape": ((3,), (3, 3)),
    "sizes": ((3, 1),), "repeats": (2, (2,)), "chunks": (2,), "sections": (2,),
    "split_size": (2,), "split_sizes": ((1, 2),), "split_size_or_sections": (2, (1, 2)),
    "indices_or_sections": (3, 1), "shifts": (1,), "k": (1,), "n": (2,), "p": (2,), "q": (0.5,),
    "eps": (None, 1e-5), "exponent": (2.0,), "diagonal": (0,), "offset": (0,), "step": (1,),
    "kernel_size": (2, (2, 2)), "output_size": (2, (2, 2), (4, 4)), "stride": ((1,), 1, (3, 1)),
    "pad": ((1, 1),), "upscale_factor": (2,), "downscale_factor": (2,), "groups": (2,),
    "num_groups": (2,), "normalized_shape": ((3,), (4,)), "equation": ("i->",), "value": (1.5,),
    "threshold": (0.5,), "negative_slope": (0.1,), "lambd": (0.5,), "alpha": (1.0,),
    "lower": (0.1,), "upper": (0.3,), "min_val": (-1.0,), "max_val": (1.0,), "beta": (1.0,),
    "delta": (1.0,), "reduction": ("mean",), "decimals": (1,), "correction": (1,), "ord": (2,),
    "keepdim": (False,), "dtype": (None,), "approximate": ("none",), "rounding_mode": ("floor",),
    "descending": (False,), "axes": ((0,),), "norm": ("backward",), "accumulate": (False,),
    "reduce": ("sum", "amax"), "include_self": (True,), "scale": (1.0,), "input_scale": (1.0,),
    "margin": (1.0,), "full_matrices": (False,), "mode": ("reduced", "constant"),
    "padding": (0, (0, 0)), "dilation": (1, (1, 1)), "ceil_mode": (False,), "training": (True,),
    "momentum": (0.1,), "size_average": (None,), "maxnorm": (1.0,), "power": (2,), "repeat": (2,),
    "is_result": (False,), "nan": (None,), "posinf": (None,), "neginf": (None,), "spacing": (1.0,),
    "divisor_override": (None,), "count_include_pad": (True,), "return_indices": (False,)}
# Calls of functions that do more with their arguments, with the shapes of these.
CALLS: dict[str, tuple[str, dict[str, tuple]]] = {
    "addbmm": ("addbmm(c, a, b)", {"c": (2, 2), "a": (3, 2, 4), "b": (3, 4, 2)}),
    "addmv": ("addmv(c, a, x)", {"c": (2,), "a": (2, 3), "x": (3,)}),
    "affine_grid": ("affine_grid(theta, (1, 1, 4, 4))", {"theta": (1, 2, 3)}),
    "baddbmm": ("baddbmm(c, a, b)", {"c": (3, 2, 2), "a": (3, 2, 4), "b": (3, 4, 2)}),
    "batch_norm": ("batch_norm(x, None, None, training=True)", {"x": (4, 3)}),
    "bilinear": ("bilinear(a, b, weight)", {"a": (2, 3), "b": (2, 4), "weight": (5, 3, 4)}),
    "bmm": ("bmm(a, b)", {"a": (2, 3, 4), "b": (2, 4, 3)}),
    "clamp": ("clamp(x, 0.3, 0.6)", {"x": (3,)}),
    "contiguous": ("contiguous(x.t())", {"x": (2, 3)}),
    "conv_transpose1d": ("conv_transpose1d(x, w)", {"x": (1, 2, 5), "w": (2, 3, 3)}),
    "conv_transpose2d": ("conv_transpose2d(x, w)", {"x": (1, 2, 5, 5), "w": (2, 3, 3, 3)}),
    "conv_transpose3d": ("conv_transpose3d(x, w)", {"x": (1, 2, 3, 3, 3), "w": (2, 3, 2, 2, 2)}),
    "ctc_loss": ("ctc_loss(x.log_softmax(-1), tensor([[1, 2]]), tensor([5]), tensor([2]))",
                 {"x": (5, 1, 4)}),
    "einsum": ("einsum('ij,jk->ik', a, b)", {"a": (2, 3), "b": (3, 4)}),
    "embedding": ("embedding(tensor([0, 2]), weight)", {"weight": (4, 3)}),
    "bag_of_embeddings": ("bag_of_embeddings(tensor([[0, 2]]), weight)", {"weight": (4, 3)}),
    "fold": ("fold(x, (4, 4), 2)", {"x": (1, 8, 9)}),
    "grid_sample": ("grid_sample(x, grid, align_corners=False)",
                    {"x": (1, 1, 4, 4), "grid": (1, 3, 3, 2)}),
    "imag": ("imag(x * 1j)", {"x": (3,)}),
    "index_reduce": ("index_reduce(x, 0, tensor([0, 0]), source, 'amax')",
                     {"x": (3,), "source": (2,)}),
    "interpolate": ("interpolate(x, scale_factor=2, mode='bilinear')", {"x": (1, 1, 3, 3)}),
    "lerp": ("lerp(a, b, w)", {"a": (3,), "b": (3,), "w": (3,)}),
    "lp_pool1d": ("lp_pool1d(x, 2.0, 2)", {"x": (1, 1, 4)}),
    "lp_pool2d": ("lp_pool2d(x, 2.0, 2)", {"x": (1, 1, 4, 4)}),
    "movedim": ("movedim(x, 0, 1)", {"x": (2, 3)}),
    "multi_margin_loss": ("multi_margin_loss(x, tensor([1, 0]))", {"x": (2, 3)}),
    "mv": ("mv(a, x)", {"a": (2, 3), "x": (3,)}),
    "nll_loss": ("nll_loss(x, tensor([1, 0]))", {"x": (2, 3)}),
    "real": ("real(x * 1j)", {"x": (3,)}),
    "renorm": ("renorm(x, 2, 0, 1.0)", {"x": (2, 3)}),
    "scatter_reduce": ("scatter_reduce(x, 0, tensor([0, 0]), src, 'sum')",
                       {"x": (3,), "src": (2,)}),
    "select": ("select(x, 0, 1)", {"x": (3, 2)}),
    "soft_margin_loss": ("soft_margin_loss(x, tensor([1.0, -1.0]))", {"x": (2,)}),
    "unfold": ("unfold(x, 0, 2, 1)", {"x": (4,)}),
    "where": ("where(tensor([True, False]), a, b)", {"a": (2,), "b": (2,)}),
}
MASKS = {"mask", "condition"}
INDICES = {"index", "indices", "target_index"}


class Drawn(NamedTuple):
    """A picture, and the call that it is of."""

    call: str
    names: list[str]
    svg: str


def draw(function: Any, name: str) -> Drawn | None:
    """The graph of the first call that records one."""
    for text, leaves, call in (*_written(function, name), *_guesses(function, name)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = call()
            outputs = result if isinstance(result, tuple | list) else (result,)
            (start, *_) = [each.grad_fn for each in outputs
                           if isinstance(each, minigrad.Tensor) and each.grad_fn is not None]
        except Exception:  # whatever it is that the op does not like about the guess
            continue
        graph = _Graph(start, {id(leaf): each for each, leaf in leaves.items()})
        return Drawn(text, graph.names(), graph.svg()) if graph.is_small() else None
    return None


Call = tuple[str, dict[str, Any], Callable]


def _written(function: Any, name: str) -> Iterator[Call]:
    if name not in CALLS:
        return
    text, shapes = CALLS[name]
    leaves: dict[str, Any] = {}
    for each, shape in shapes.items():
        _tensor(each, shape, leaves)
    names = {name: function, "tensor": minigrad.tensor, **leaves}
    yield text, leaves, lambda: eval(text, names)


def _guesses(function: Any, name: str) -> Iterator[Call]:
    """Calls with each shape, and then with the arguments' second choices."""
    op = getattr(function, "op", None)
    defined = inspect.signature(op.kernel if op is not None else inspect.unwrap(function))
    parameters = list(defined.parameters.values())[1 if op is not None else 0:]
    choices = 1 + any(each.name in VALUES for each in parameters)
    for attempt in range(choices * len(SHAPES)):
        leaves: dict[str, Any] = {}
        try:
            positional, named, text = _arguments(parameters, attempt, leaves)
        except KeyError:  # a keyword that nobody knows
            return
        yield f"{name}({text})", leaves, functools.partial(function, *positional, **named)


def _arguments(parameters: list, attempt: int, leaves: dict) -> tuple[list, dict, str]:
    """Values for what has no default: positional, named, and both as text."""
    shape = SHAPES[attempt % len(SHAPES)]
    choice = attempt // len(SHAPES)
    positional: list = []
    named: dict = {}
    text = []
    for each in parameters:
        if each.default is not each.empty or each.kind is each.VAR_KEYWORD:
            continue
        if each.name in VALUES and each.name not in ("source", "value") or \
                each.kind is each.KEYWORD_ONLY:
            values = VALUES[each.name]
            value = values[min(choice, len(values) - 1)]
            written = repr(value)
        elif each.kind is each.VAR_POSITIONAL or each.name == "tensors":
            found = [_tensor(f"{each.name[0]}{i}", shape, leaves) for i in range(2)]
            text.append(", ".join([*leaves][-2:]))
            positional += found if each.kind is each.VAR_POSITIONAL else [found]
            continue
        else:
            value, written = _tensor(each.name, shape, leaves), each.name
        if each.kind is each.KEYWORD_ONLY:
            named[each.name] = value
            text.append(f"{each.name}={written}")
        else:
            positional.append(value)
            text.append(written)
    return positional, named, ", ".join(text)


def _tensor(name: str, shape: tuple, leaves: dict) -> Any:
    if name in MASKS:
        return minigrad.tensor(np.arange(int(np.prod(shape))).reshape(shape) % 2 == 0)
    if name in INDICES:
        return minigrad.tensor(np.zeros(shape, np.int64))
    rng = np.random.default_rng(len(name))
    data = rng.uniform(0.2, 0.8, shape)
    if len(shape) > 1 and shape[-1] == shape[-2]:  # positive definite
        data = (data + np.swapaxes(data, -1, -2)) / 2 + 2 * np.eye(shape[-1])
    leaves[name] = minigrad.tensor(data, requires_grad=True)
    return leaves[name]


class _Graph:
    """The nodes behind a node, each in the row of its longest way to it."""

    def __init__(self, start: Any, leaves: dict[int, str]) -> None:
        self.leaves = leaves
        self.depths: dict[Any, int] = {}
        waiting = [(start, 0)]
        while waiting and len(self.depths) <= MOST_NODES:
            node, depth = waiting.pop()
            if self.depths.get(node, -1) < depth:
                self.depths[node] = depth
                waiting += [(edge[0], depth + 1) for edge in node.edges if edge is not None]
        self.rows: list[list] = [[] for _ in range(max(self.depths.values()) + 1)]
        for node, depth in self.depths.items():
            self.rows[depth].append(node)

    def is_small(self) -> bool:
        return len(self.depths) <= MOST_NODES

    def name(self, node: Any) -> str:
        if isinstance(node, AccumulateGrad):
            return self.leaves.get(id(node.variable), "a leaf")
        return node.name().removeprefix("torch::autograd::")

    def names(self) -> list[str]:
        """Of all nodes that are no leaves, from the result back."""
        return [self.name(node) for row in self.rows for node in row
                if not isinstance(node, AccumulateGrad)]

    def svg(self) -> str:
        """One row below the other, the result on top; an arrow goes where a gradient goes."""
        widths = {node: 7.4 * len(self.name(node)) + 16 for node in self.depths}
        wide = max(sum(widths[node] + 12 for node in row) for row in self.rows)
        middles: dict[Any, tuple[float, float]] = {}
        for depth, row in enumerate(self.rows):
            x = (wide - sum(widths[node] + 12 for node in row)) / 2
            for node in row:
                middles[node] = (x + 6 + widths[node] / 2, 14 + 46 * depth)
                x += widths[node] + 12
        high = 46 * len(self.rows) - 18
        return "".join([
            f'<svg class="little-graph" role="img" viewBox="0 0 {wide:.0f} {high}" '
            f'width="{wide:.0f}" height="{high}" font-family="monospace" font-size="12" '
            'fill="none" stroke="currentColor">',
            *self._arrows(middles), *self._boxes(middles, widths), "</svg>"])

    def _arrows(self, middles: dict) -> Iterator[str]:
        for node, (x, y) in middles.items():
            for edge in node.edges:
                if edge is not None:
                    to_x, to_y = middles[edge[0]][0], middles[edge[0]][1] - 12
                    yield f'<path d="M{x:.0f} {y + 12}L{to_x:.0f} {to_y}m-3 -6l3 6l3 -6"/>'

    def _boxes(self, middles: dict, widths: dict) -> Iterator[str]:
        for node, (x, y) in middles.items():
            width = widths[node]
            is_leaf = isinstance(node, AccumulateGrad)
            yield (f'<rect x="{x - width / 2:.0f}" y="{y - 12}" width="{width:.0f}" height="24" '
                   f'rx="{12 if is_leaf else 3}"/><text x="{x:.0f}" y="{y + 4}" '
                   'text-anchor="middle" fill="currentColor" stroke="none">'
                   f'{html.escape(self.name(node))}</text>')
