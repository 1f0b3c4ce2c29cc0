"""Optimisers: each public function of a file here is a name that `optimiser.name` in a task may take.

Its arguments after the flat parameter vector are the options. They are torch's own: over one vector its fused kernels make
a whole update a single pass over memory.
"""
