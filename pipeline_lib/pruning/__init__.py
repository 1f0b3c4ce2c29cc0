"""Masks, criteria, rules for ratios, rewinding and retraining."""
