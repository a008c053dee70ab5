"""The policies, each a pure law of its own: no clock, no thread, no chance, no sibling."""
