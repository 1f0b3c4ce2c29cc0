"""Stages that make states: data sets, starts and trained networks."""
