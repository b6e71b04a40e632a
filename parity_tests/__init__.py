"""The proof that minigrad equals PyTorch: each op, gradient, module and training step beside it."""
