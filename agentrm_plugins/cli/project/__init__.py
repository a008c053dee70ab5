"""What a project calls models with, read from its source without running any of it."""
