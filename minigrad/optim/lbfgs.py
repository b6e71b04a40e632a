"""L-BFGS: Newton's method with a Hessian guessed from the last steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd.grad_mode import enable_grad, no_grad
from ..ops.joining import cat
from .line_search import strong_wolfe
from .optimizer import Optimizer, check_rate, rate_of


class LBFGS(Optimizer):
    r"""$p \leftarrow p - t H g$, $H$ the inverse Hessian that the last `history_size` steps $s$ and
    gradient changes $y$ suggest.

    A step calls `closure`, which has to compute the loss and its gradients anew, up to `max_eval`
    times. The state belongs to the first parameter. Nocedal, "Updating quasi-Newton matrices with
    limited storage", 1980.
    """

    def __init__(self, params: Any, lr: Any = 1, max_iter: int = 20, max_eval: int | None = None,
                 tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9,
                 history_size: int = 100, line_search_fn: str | None = None) -> None:
        check_rate(lr)
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn})
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:
        """Up to `max_iter` iterations; returns the loss from before them."""
        closure = enable_grad()(closure)
        group, state = self.param_groups[0], self.state[self._params[0]]
        max_iter, tolerance_change = group["max_iter"], group["tolerance_change"]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        original = closure()
        loss, gradient = float(original), self._gradient()
        evaluations = 1
        state["func_evals"] += 1
        flat = lambda: bool(gradient.abs().max() <= group["tolerance_grad"])
        if flat():
            return original

        memory = _Memory(state, group["history_size"])
        for iteration in range(1, max_iter + 1):
            state["n_iter"] += 1
            first = state["n_iter"] == 1
            memory.look(gradient, first)
            before = memory.prev_loss = loss
            t = rate_of(group)
            if first:
                t = min(1.0, 1.0 / gradient.abs().sum()) * t
            memory.t = t
            slope = gradient.dot(memory.d)
            if slope > -tolerance_change:
                break
            calls, done = 0, False
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                start = [each.clone() for each in self._params]
                loss, gradient, t, calls = strong_wolfe(
                    lambda t, start=start: self._try(closure, start, t, memory.d),
                    t, memory.d, loss, gradient, slope, max_steps=group["max_eval"] - evaluations)
                memory.t = t
                self._move(t, memory.d)
                done = flat()
            else:
                self._move(t, memory.d)
                if iteration != max_iter:  # else nobody asks for the loss of the last step
                    loss, gradient = float(closure()), self._gradient()
                    calls, done = 1, flat()
            evaluations += calls
            state["func_evals"] += calls
            if (iteration == max_iter or evaluations >= group["max_eval"] or done
                    or memory.d.mul(t).abs().max() <= tolerance_change
                    or abs(loss - before) < tolerance_change):
                break
        memory.save(state)
        return original

    def _gradient(self) -> Any:
        """All gradients in one row, complex ones as pairs."""
        rows = []
        for each in self._params:
            gradient = each.new_zeros(each.shape) if each.grad is None else each.grad
            rows.append((gradient.view_as_real() if each.dtype.is_complex else gradient)
                        .reshape(-1))
        return cat(rows, 0)

    def _move(self, t: Any, direction: Any) -> None:
        start = 0
        for each in self._params:
            real = each.view_as_real() if each.dtype.is_complex else each
            size = real.numel()
            real.add_(direction[start:start + size].view(real.shape), alpha=t)
            start += size

    def _try(self, closure: Callable, start: list, t: Any, direction: Any) -> tuple[float, Any]:
        """The loss and the gradient at `t` along the direction; the parameters come back."""
        self._move(t, direction)
        loss, gradient = float(closure()), self._gradient()
        for each, old in zip(self._params, start, strict=True):
            each.copy_(old)
        return loss, gradient


class _Memory:
    """What one iteration leaves to the next: the state's entries."""

    names = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")

    def __init__(self, state: dict, size: int) -> None:
        self.state, self.size = state, size
        for name in self.names:
            setattr(self, name, state.get(name))

    def save(self, state: dict) -> None:
        state.update({name: getattr(self, name) for name in self.names})

    d: Any          # the direction
    t: Any          # how far along it
    old_dirs: Any   # the changes of the gradient, y
    old_stps: Any   # the steps, s
    ro: Any         # 1 / y·s
    H_diag: Any
    prev_flat_grad: Any
    prev_loss: Any

    def look(self, gradient: Any, first: bool) -> None:
        """The next direction, at a point with this gradient."""
        if first:
            self.d = gradient.neg()
            self.old_dirs, self.old_stps, self.ro, self.H_diag = [], [], [], 1
        else:
            self._remember(gradient.sub(self.prev_flat_grad), self.d.mul(self.t))
            self.d = self._towards(gradient.neg())
        if self.prev_flat_grad is None:
            self.prev_flat_grad = gradient.clone()
        else:
            self.prev_flat_grad.copy_(gradient)

    def _remember(self, y: Any, s: Any) -> None:
        curvature = y.dot(s)
        if not curvature > 1e-10:
            return
        if len(self.old_dirs) == self.size:
            for each in (self.old_dirs, self.old_stps, self.ro):
                each.pop(0)
        self.old_dirs.append(y)
        self.old_stps.append(s)
        self.ro.append(1.0 / curvature)
        self.H_diag = curvature / y.dot(y)

    def _towards(self, q: Any) -> Any:
        """H q, by the two loops of Nocedal's recursion."""
        weights = self.state.setdefault("al", [None] * self.size)
        for i in reversed(range(len(self.old_dirs))):
            weights[i] = self.old_stps[i].dot(q) * self.ro[i]
            q.add_(self.old_dirs[i], alpha=-weights[i])
        q = q.mul(self.H_diag)
        for i in range(len(self.old_dirs)):
            q.add_(self.old_stps[i], alpha=weights[i] - self.old_dirs[i].dot(q) * self.ro[i])
        return q
