"""The ops, one family a file: kernel, formula and rules side by side (see ops/arithmetic.py)."""
