"""Who goes next: the feedback queue and the baselines."""
