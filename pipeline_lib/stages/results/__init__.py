"""Stages that make an experiment's tables, claims and figures."""
