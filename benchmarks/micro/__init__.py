"""What the core costs: `python -m benchmarks.micro`."""
