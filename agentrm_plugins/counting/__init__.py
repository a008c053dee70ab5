"""Tokens of texts, images, messages and whole requests."""
