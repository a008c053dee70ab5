"""Resource management for LLM agents, as plugins for the frameworks that they already use."""
