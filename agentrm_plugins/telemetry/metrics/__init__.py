"""What is measured, whoever exports it: one table of metrics, and their values at a moment.

Prometheus' collector and OpenTelemetry's instruments are made from the same table, so a name cannot
mean one thing here and another there.
"""
