"""UNDERSTAND IT: readings -> intervals, sums, intensity, verdicts."""
