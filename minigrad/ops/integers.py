"""Divisors and multiples of integers."""

from __future__ import annotations

from ..primitive import primitive

__all__ = ["gcd", "lcm"]


@primitive(promote="default", numbers="none", refuses={"bfc": "gcd_cpu"})
def gcd(xp, input, other):
    """The greatest integer that divides both."""
    return xp.gcd(input, other)


@primitive(promote="default", numbers="none", refuses={"bfc": "lcm_cpu"})
def lcm(xp, input, other):
    """The smallest integer that both divide."""
    return xp.lcm(input, other)
