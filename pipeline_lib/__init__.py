"""Rewind: the early phase of training, sparse trainable subnetworks and linearly connected minima."""

__version__ = "0.1.0"
