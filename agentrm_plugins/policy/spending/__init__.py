"""Budgets, and shares of an endpoint's rate."""
