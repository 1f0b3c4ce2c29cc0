"""Networks: each public function of a file here is a name that `network.name` in a task may take.

A network function takes `input_shape` (C, H, W) and `num_classes`, then its own options, and returns
`nn.Sequential(stem, body)`, where the stem is affine in its parameters. Interpolation relies on this: the stem's output at
a mixture of two networks is the mixture of their outputs.
"""
