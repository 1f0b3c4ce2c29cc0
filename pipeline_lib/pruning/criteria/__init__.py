"""Pruning criteria: each public function of a file here is a name that `pruning.criterion` or `prune(…)` in a start may take.

A criterion scores the prunable weights: it returns an array for each tensor of the mask, of its shape, and the survivors of
lowest score are pruned. Shares, scopes, ties and what is pruned already are none of its business (`pruning.selection`).

What it looks at is read off its arguments, in any order: `weights` (the prunable tensors of the state to prune), `mask` (what is
left of them before), `rng` (where random numbers come from), and the derivatives of `analysis/derivatives`, each of which is a
job of its own, on a GPU where there is one. All but `rng` are mappings from a tensor's name to an array.
"""
