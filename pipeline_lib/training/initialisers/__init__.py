"""Random initialisation: each public function of a file here is a name that `initialisation.name` in a task may take.

It takes `network` (a template, whose own parameters are neither read nor written) and `generator`, then its own options, and
returns a `State`.

Biases are uniform within `1 / sqrt(fan_in)`, which is torch's default; BatchNorm's shift is 0, its statistics 0 and 1.
"""
