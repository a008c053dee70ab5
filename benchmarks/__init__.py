"""Programs that measure. Each folder runs with `python -m benchmarks.<name>`."""
