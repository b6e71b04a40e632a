"""A step length that satisfies the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A step length, and what was found there: the loss, its gradient, its slope."""

    t: Any
    loss: float
    gradient: Any
    slope: Any


def strong_wolfe(evaluate: Callable, t: Any, direction: Any, loss: float, gradient: Any,
                 slope: Any, max_steps: int, c1: float = 1e-4, c2: float = 0.9,
                 tolerance: float = 1e-9) -> tuple[float, Any, Any, int]:
    r"""A $t$ with $f(t) \le f(0) + c_1 t f'(0)$ and $|f'(t)| \le c_2 |f'(0)|$.

    `evaluate(t)` gives the loss and the gradient there. First the step grows until such a $t$ must
    lie between the last two, then the bracket closes around it. Returns the loss and the gradient
    at $t$, $t$, and the number of evaluations. Nocedal and Wright, "Numerical optimization", 2006,
    algorithms 3.5 and 3.6, with the safeguards of Torch's `lswolfe`.
    """
    size, calls = direction.abs().max(), 0

    def at(t: Any) -> Point:
        nonlocal calls
        calls += 1
        loss, gradient = evaluate(t)
        return Point(t, loss, gradient, gradient.dot(direction))

    def descends_too_little(point: Point) -> bool:
        return point.loss > (loss + c1 * point.t * slope)

    def is_flat(point: Point) -> bool:
        return abs(point.slope) <= -c2 * slope

    start = before = Point(0, loss, gradient.clone(), slope)
    here, steps, bracket, done = at(t), 0, None, False
    while steps < max_steps:
        if descends_too_little(here) or (steps > 1 and here.loss >= before.loss):
            bracket = [before, here]
            break
        if is_flat(here):
            bracket, done = [here], True
            break
        if here.slope >= 0:
            bracket = [before, here]
            break
        t = _cubic_minimum(before, here, (here.t + 0.01 * (here.t - before.t), here.t * 10))
        before, here = here, at(t)
        steps += 1
    if bracket is None:
        bracket = [start, here]

    low, high = (0, 1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
    stuck = False
    while not done and steps < max_steps:
        ends = [point.t for point in bracket]
        if abs(ends[1] - ends[0]) * size < tolerance:
            break
        t = _cubic_minimum(*bracket)
        t, stuck = _away_from_the_ends(t, min(ends), max(ends), stuck)
        here = at(t)
        steps += 1
        if descends_too_little(here) or here.loss >= bracket[low].loss:
            bracket[high] = here
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
        else:
            if is_flat(here):
                done = True
            elif here.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = here
    best = bracket[low]
    return best.loss, best.gradient, best.t, calls


def _away_from_the_ends(t: Any, left: Any, right: Any, stuck: bool) -> tuple[Any, bool]:
    """A tenth of the bracket away from its nearer end, if `t` is too close a second time."""
    margin = 0.1 * (right - left)
    if not min(right - t, t - left) < margin:
        return t, False
    if stuck or t >= right or t <= left:
        return (right - margin if abs(t - right) < abs(t - left) else left + margin), False
    return t, True


def _cubic_minimum(a: Point, b: Point, bounds: tuple | None = None) -> Any:
    """Where the cubic through two points with their slopes is smallest, within the bounds."""
    left, right = (a, b) if a.t <= b.t else (b, a)
    lowest, highest = bounds or (left.t, right.t)
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (lowest + highest) / 2.0
    d2 = square.sqrt()
    t = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / (right.slope - left.slope
                                                                  + 2 * d2))
    return min(max(t, lowest), highest)
