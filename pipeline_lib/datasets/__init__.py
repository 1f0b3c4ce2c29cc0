"""Data sets: each public function of a file here is a name that `dataset.name` in a task may take.

A data-set function takes `data_root` (a folder, or None for the default download folder), then its own options, and returns a
`Dataset` of uint8 tensors.
"""
