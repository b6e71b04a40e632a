"""`histograms(model, inputs)`: what leaves each layer, and the gradients that come back there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import facts
from .modules import _arguments, untouched
from .training import _some, new_chart


def histograms(model: Any, inputs: Any, loss: Callable | None = None, *,
               path: str | Path | None = None, max_layers: int = 30) -> Any:
    """Histograms of each layer's output and of the gradient there, as a matplotlib figure.

    `inputs` are what to call the model with (as in `draw`); `loss` is a function of its output,
    without one the mean of all outputs is taken. Nobody's `.grad` is touched, and the model is left
    as it was. The bars show the middle 99 % of what is not zero; the zeros are counted beside
    them. Of more than `max_layers` layers, that many are shown.
    """
    if not facts.is_module(model):
        raise TypeError("histograms() takes a module and its inputs, histograms(model, inputs), "
                        f"not {type(model).__name__}")
    chart = new_chart()
    layers = measure(model, inputs, loss)
    shown = _some(list(layers), max_layers)
    layers = {name: each for name, each in layers.items() if name in shown}
    figure = chart.Chart(figsize=(8.6, 0.5 + 0.82 * len(layers)), layout="constrained")
    panels = figure.subplots(len(layers), 2, squeeze=False)
    for row, (name, (values, gradients)) in zip(panels, layers.items(), strict=True):
        _bars(chart, row[0], values, chart.COLORS[0], name)
        _bars(chart, row[1], gradients, chart.COLORS[1], "")
    for panel, title in zip(panels[0], ("what leaves the layer", "the gradient there"),
                            strict=True):
        panel.set_title(title, fontsize=10.5, color=chart.INK, loc="left", fontweight="bold")
    if path is not None:
        figure.save(path)
    return figure


def measure(model: Any, inputs: Any, loss: Callable | None = None
            ) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """For each layer (a module without modules in it): its outputs, and the loss's gradient by
    them; None where there is none."""
    library = facts.library_of(model)
    found: dict[str, list[Any]] = {}
    names = {id(module): f"{name} · {type(module).__name__}" if name else type(module).__name__
             for name, module in model.named_modules() if not list(module.children())}

    def keep(module: Any, args: Any, result: Any) -> None:
        found.setdefault(names[id(module)], []).extend(
            tensor for _, tensor in facts.tensors_in(result))

    handles = [module.register_forward_hook(keep) for module in model.modules()
               if id(module) in names]
    args, kwargs = _arguments(inputs)
    try:
        with untouched(model):
            output = model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise RuntimeError("histograms() found no layer that was called: the module has none in it")
    outputs = [tensor for _, tensor in facts.tensors_in(output)]
    start = outputs[0].mean() if loss is None else loss(output)
    traced = [tensor for tensors in found.values() for tensor in tensors if tensor.requires_grad]
    gradients = library.autograd.grad(start, traced, allow_unused=True) if traced else ()
    by_tensor = {id(tensor): each for tensor, each in zip(traced, gradients, strict=True)}
    layers = {}
    for name, tensors in found.items():
        backs = [by_tensor[id(each)] for each in tensors if by_tensor.get(id(each)) is not None]
        layers[name] = (_flat(tensors), _flat(backs) if backs else None)
    return layers


def _flat(tensors: list[Any]) -> np.ndarray:
    parts = [np.asarray(each.detach().double().cpu().numpy()).ravel() for each in tensors]
    return np.concatenate(parts) if parts else np.zeros(0)


def _bars(chart: Any, panel: Any, values: np.ndarray | None, color: str, name: str) -> None:
    chart.dress(panel, "")
    panel.set_yticks([])
    panel.grid(False)
    panel.spines["left"].set_visible(False)
    if name:
        panel.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8.5, color=chart.INK)
    if values is None or not values.size:
        panel.set_xticks([])
        panel.text(0.5, 0.4, "none comes here", transform=panel.transAxes, ha="center", fontsize=8,
                   color=chart.FAINT)
        return
    finite = values[np.isfinite(values)]
    other = finite[finite != 0]
    if other.size:
        low, high = np.percentile(other, (0.5, 99.5))
        panel.hist(other, bins=50, range=(low, high) if low < high else None, color=color)
        panel.axvline(0, color=chart.FAINT, linewidth=0.7)
    words = f"mean {finite.mean():.2g}\nstd {finite.std():.2g}" if finite.size else ""
    if other.size < finite.size:
        words += f"\n{1 - other.size / finite.size:.0%} zero"
    if finite.size < values.size:
        words += f"\n{values.size - finite.size} inf or nan"
    panel.text(1.0, 0.95, words, transform=panel.transAxes, ha="left", va="top", fontsize=7,
               color=chart.FAINT)
    panel.locator_params(axis="x", nbins=5)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
