"""What is seen of a running core: the timeline, the report and the live page."""
