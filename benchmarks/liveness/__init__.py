"""Healthy work is never killed, sick work never hangs: late calls, in virtual time and on HTTP."""
