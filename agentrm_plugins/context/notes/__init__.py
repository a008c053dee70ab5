"""What is kept of what left the prompt: facts, notes, summaries."""
