# minigrad's commands. On a machine with Python 3.11 or newer and make, each sets up what it needs in .venv.
PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin

# Some machines forbid Python to keep what it compiles; every process would compile it all again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint parity nightly parity-cpu parity-fake-cuda parity-speed speed docs clean

## demo: train a small model, compare and draw it
demo: $(VENV)/demo.stamp
	$(BIN)/python -m minigrad demo

## test: everything that must hold: style, types, the book, and parity with PyTorch on both devices
test: lint docs parity-cpu parity-fake-cuda parity-speed

## parity: all of PyTorch's own databases at every level; writes docs/parity.md
parity: $(VENV)/test.stamp
	$(BIN)/pytest parity_tests -m matrix -n $(WORKERS) --dist loadgroup --matrix docs/parity.md

## nightly: 2,000 new programs, shapes and indices at random
nightly: $(VENV)/test.stamp
	$(BIN)/pytest parity_tests/test_properties.py -n $(WORKERS) --hypothesis-profile nightly

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

parity-cpu: $(VENV)/test.stamp
	$(BIN)/pytest parity_tests -n $(WORKERS) --dist loadgroup --device cpu -k "not speed"

# The stand-in for CuPy: the same tests on a machine without a GPU, but for those that are not about
# the device (HOST_ONLY in conftest.py).
parity-fake-cuda: $(VENV)/test.stamp
	$(BIN)/pytest parity_tests -n $(WORKERS) --dist loadgroup --device fake-cuda

# On its own, so that nothing else runs while it measures.
parity-speed: $(VENV)/test.stamp
	$(BIN)/pytest parity_tests/test_speed.py

## speed: how long training steps take beside PyTorch
speed: $(VENV)/test.stamp
	$(BIN)/python -m parity_tests.speed

## docs: the book, as HTML in build/docs; a warning is an error, also the next time
docs: $(VENV)/docs.stamp
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs || \
	{ rm -rf build/docs/.doctrees; exit 1; }

## clean: remove what these commands made
clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: .venv is set up again when pyproject.toml changes.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[demo,viz]"
	touch $@

$(VENV)/test.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[parity,lint]"
	touch $@ $(VENV)/demo.stamp

$(VENV)/docs.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@
