"""Many processes, one limit: who exchanges with the server, in a thread of its own."""
