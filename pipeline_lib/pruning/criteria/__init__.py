"""Pruning criteria: each public function of a file here is a name that `pruning.criterion` or `prune(…)` in a start may take.

A criterion takes `weights` (trained prunable tensors), `mask` (same names and shapes), `fraction` (share of the survivors to
prune, in (0, 1)), `scope` ("global" ranks all layers together, "layer" each by itself) and `rng`, and returns the next mask.
"""
