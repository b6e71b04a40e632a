"""What is not equal to torch: one line and one reason each. The list only shrinks.

A key names a test: its node id without the folder (`"test_pointwise.py::test_op[add]"`), its name
(`"test_op[add]"`) or its parameter's id (`"add"`). A key that ends in `" @fake-cuda"` or `" @cuda"`
holds on that device only. conftest.py marks the test `xfail(strict=True)`: a gap that has been
closed fails the run until its line is deleted; so does a line that names no test at all.
"""

from __future__ import annotations

GAPS: dict[str, str] = {}
