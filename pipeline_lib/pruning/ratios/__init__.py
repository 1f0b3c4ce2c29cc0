"""Rules for the share of weights to prune at a level: each public function of a file here is a name that a start may take.

All look at the losses of the dense network and at what pruning does to a level's solution, on as many training images as an
option `examples` says, or on all.
"""
