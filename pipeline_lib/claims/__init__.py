"""What the papers claim, what it is measured from, and verdicts."""
