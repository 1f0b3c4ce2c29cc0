"""Retraining strategies: how a ladder trains a network that it has just pruned.

Each public function of a file here is a name that a start may take, such as `k2000 | lr_rewinding`; its arguments are options.
"""
