"""Derivatives by weight: each public function of a file here is an argument that a pruning criterion may have.

A derivative takes `network` (a template), `state` (the one to prune, pruned entries zero), `batches` (yields equal mini-batches
of training images and labels at each call, not augmented) and `mask`, which keeps a weight at least. It returns a tensor for each
tensor of the mask, of its shape and on the state's device, zero where the mask prunes. The stage `score` computes and writes one.
"""
