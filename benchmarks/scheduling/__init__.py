"""The benchmark of the scheduler in virtual time."""
