"""Stages that make masks, and what criteria look at."""
