"""Pictures of a training: loss, accuracy, learning rate, and how each layer is doing.

    history = viz.History(model)
    for images, labels in loader:
        ...
        loss.backward()
        optimizer.step()
        history.step(model, optimizer, loss=loss, accuracy=accuracy)   # before zero_grad()
        optimizer.zero_grad()
    viz.training(history).save("training.png")

Note [What to look for]
~~~~~~~~~~~~~~~~~~~~~~~
The norm of a layer's gradient should neither vanish nor explode from one end of the network to the
other. The update-to-weight ratio, |change of the weights| / |weights|, says how big the steps are;
around 0.001 is usual, far more is unstable, far less is slow. A unit is counted as dead if the
batch gave its weights no gradient at all: no example got through its ReLU.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from . import facts

Curve = tuple[list[int], list[float]]  # steps, values


class History:
    """Keeps what `step` is shown. Works with models of minigrad and of PyTorch.

    With the model given at the start, the first step has its update-to-weight ratio too. A copy of
    the weights is kept for that.
    """

    def __init__(self, model: Any = None) -> None:
        self.steps = 0
        self.values: dict[str, Curve] = {}          # loss, accuracy, ..., by name
        self.rates: dict[str, Curve] = {}           # learning rates, by parameter group
        self.gradients: dict[str, Curve] = {}       # norms, by layer
        self.updates: dict[str, Curve] = {}         # update-to-weight ratios, by layer
        self.dead: dict[str, Curve] = {}            # shares of dead units, by layer
        self._before: dict[str, Any] = {}
        if model is not None:
            self._before = _copies(_check_model(model))

    def step(self, model: Any = None, optimizer: Any = None, **values: Any) -> None:
        """Note one step, after `optimizer.step()`; `values` are numbers or tensors of one element.

        Nothing is changed, and no graph is kept.
        """
        numbers = {name: _number(name, value) for name, value in values.items()}
        self.steps += 1
        for name, number in numbers.items():
            self._note(self.values, name, number)
        if optimizer is not None:
            groups = optimizer.param_groups
            for place, group in enumerate(groups):
                name = "learning rate" if len(groups) == 1 else f"group {place}"
                self._note(self.rates, name, _number(name, group["lr"]))
        if model is not None:
            self._look_at(_check_model(model))

    def _note(self, curves: dict[str, Curve], name: str, value: float) -> None:
        steps, values = curves.setdefault(name, ([], []))
        steps.append(self.steps)
        values.append(value)

    def _look_at(self, model: Any) -> None:
        kinds = {name: type(module).__name__ for name, module in model.named_modules()}
        squares: dict[str, float] = {}
        changes: dict[str, tuple[float, float]] = {}
        for name, parameter in model.named_parameters():
            layer = name.rpartition(".")[0] or type(model).__name__
            weights, gradient = parameter.detach(), parameter.grad
            if name in self._before:
                change, size = changes.get(layer, (0.0, 0.0))
                before = self._before[name]
                changes[layer] = (change + float((weights - before).norm()) ** 2,
                                  size + float(before.norm()) ** 2)
            if gradient is None:
                continue
            gradient = gradient.detach()
            squares[layer] = squares.get(layer, 0.0) + float(gradient.norm()) ** 2
            if gradient.dim() > 1 and "Embedding" not in kinds.get(layer, ""):
                silent = ~(gradient.reshape(gradient.shape[0], -1) != 0).any(1)
                self._note(self.dead, layer, int(silent.sum()) / gradient.shape[0])
        for layer, square in squares.items():
            self._note(self.gradients, layer, math.sqrt(square))
        for layer, (change, size) in changes.items():
            if size:
                self._note(self.updates, layer, math.sqrt(change / size))
        self._before = _copies(model)


def _copies(model: Any) -> dict[str, Any]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def _check_model(model: Any) -> Any:
    if not facts.is_module(model):
        raise TypeError(f"a History looks at a module, not {type(model).__name__}; numbers go by "
                        "name: history.step(model, optimizer, loss=loss)")
    return model


def _number(name: str, value: Any) -> float:
    try:
        return float(value.detach()) if facts.is_tensor(value) else float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a number or a tensor of one element, not "
                        f"{type(value).__name__}") from None


# --- the picture ---------------------------------------------------------------------------------

def training(history: History, path: str | Path | None = None) -> Any:
    """The curves of a training, one panel for each thing that was noted, as a matplotlib figure.

    With `path` it is written there too.
    """
    if not isinstance(history, History):
        raise TypeError("training() draws a viz.History, on which step() was called in the loop, "
                        f"not {type(history).__name__}")
    panels = _panels(history)
    if not panels:
        raise ValueError("there is nothing to draw: call history.step(model, optimizer, loss=loss) "
                         "in the training loop")
    chart = new_chart()
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = chart.Chart(figsize=(4.3 * columns, 3.0 * rows), layout="constrained")
    for number, (title, curves, options) in enumerate(panels, 1):
        _panel(chart, figure.add_subplot(rows, columns, number), title, curves, **options)
    if path is not None:
        figure.save(path)
    return figure


def new_chart() -> Any:
    """The module chart, or one line that says what is missing."""
    try:
        from . import chart
    except ImportError:
        raise ImportError("this picture needs matplotlib: pip install matplotlib") from None
    return chart


def _panels(history: History) -> list[tuple[str, dict[str, Curve], dict]]:
    """What there is to see: title, curves, options. Names that end alike share a panel."""
    groups: dict[str, dict[str, Curve]] = {}
    for name, curve in history.values.items():
        groups.setdefault(name.rpartition("_")[2], {})[name] = curve
    panels: list[tuple[str, dict[str, Curve], dict]] = [
        (title, curves, {"smooth": True}) for title, curves in groups.items()]
    if history.rates:
        panels.append(("learning rate", history.rates, {}))
    if history.gradients:
        panels.append(("gradient norm by layer", history.gradients,
                       {"log": True, "smooth": True}))
    if history.updates:
        panels.append(("update-to-weight ratio by layer", history.updates,
                       {"log": True, "usual": 1e-3}))
    if any(any(values) for _, values in history.dead.values()):
        panels.append(("dead units by layer", history.dead, {"share": True}))
    return panels


def _panel(chart: Any, panel: Any, title: str, curves: dict[str, Curve], smooth: bool = False,
           log: bool = False, share: bool = False, usual: float | None = None) -> None:
    colors = chart.shades(len(curves))
    named = _some(list(curves))
    for (name, (steps, values)), color in zip(curves.items(), colors, strict=True):
        label = name if name in named and (len(curves) > 1 or name != title) else None
        few = {"marker": "o", "markersize": 3} if len(steps) < 12 else {}
        if smooth and len(values) >= 40:
            panel.plot(steps, values, color=color, linewidth=0.8, alpha=0.25)
            panel.plot(steps, _smoothed(values), color=color, linewidth=1.8, label=label)
        else:
            panel.plot(steps, values, color=color, linewidth=1.4, label=label, **few)
    chart.dress(panel, title, xlabel="step")
    flat = [value for _, values in curves.values() for value in values if value > 0]
    if log and flat:
        panel.set_yscale("log")
    if usual is not None:
        panel.axhline(usual, color=chart.FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
        panel.annotate(f"{usual:g} is usual", (1, usual), xycoords=("axes fraction", "data"),
                       fontsize=7.5, color=chart.FAINT, ha="right", va="bottom")
    if share:
        panel.set_ylim(-0.02, 1.02)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    if panel.get_legend_handles_labels()[1]:
        panel.legend(fontsize=7.5, frameon=False, labelcolor=chart.INK, handlelength=1.2)


def _some(names: list[str], most: int = 8) -> set[str]:
    """As many of the names as a legend has room for, the first and the last among them."""
    if len(names) <= most:
        return set(names)
    return {names[round(each * (len(names) - 1) / (most - 1))] for each in range(most)}


def _smoothed(values: list[float]) -> list[float]:
    """A running mean that forgets: each value counts less the older it is."""
    keep = 1 - 1 / max(len(values) / 20, 2)
    found, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        found.append(total / weight)
    return found
