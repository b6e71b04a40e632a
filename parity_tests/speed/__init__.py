"""minigrad and torch timed side by side: `python -m parity_tests.speed` prints the ratios."""
