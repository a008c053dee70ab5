"""What is fetched back from the archive."""
