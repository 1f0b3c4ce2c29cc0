"""What a perturbation may look at, and how one is applied."""
