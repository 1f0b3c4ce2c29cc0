"""Stages that measure states and runs."""
