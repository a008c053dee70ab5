"""What one prompt holds: the transcript, its groups, compaction and the view."""
