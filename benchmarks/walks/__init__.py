"""How far a call walks through the code: `python -m benchmarks.walks`."""
