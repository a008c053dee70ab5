"""Many processes that share one limit, on a real Redis and over real HTTP."""
