"""Perturbations: each public function of a file here is a name that a step of `perturb` in an experiment may take.

A perturbation takes `weights` (the prunable tensors of a masked start, pruned entries zero), `around` (the mask, W_0 and what
else it may look at) and `rng`, then its own options, and returns new tensors of the same names, shapes and dtypes. It changes
survivors only; pruned entries, biases and BatchNorm are none of its business.
"""
