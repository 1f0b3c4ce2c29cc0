"""Symmetries: which units of a network may be permuted. A public function of a file here is of the network of its name.

It takes what the network takes, and says for each parameter and buffer which group of units lies along each axis, None where the
order means something (pixels, classes, kernels). A network without such a function cannot be aligned.
"""
