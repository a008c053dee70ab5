"""Forty agents against a server with limits: ours, what users pick today, and an oracle."""
