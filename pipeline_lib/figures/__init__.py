"""Figures: each public function of a file here draws the figure of its name from tables.

A figure function takes the tables by name and `sparse_levels` (each task's sparse level), and returns a matplotlib figure.
Errors are drawn in percent.
"""
