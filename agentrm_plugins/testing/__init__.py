"""What tests need: the simulated provider and its pytest fixture.

Nothing is imported here, so that each part costs only its own requirements.
"""
