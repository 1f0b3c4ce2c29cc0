"""Data sets: each public function of a file here is a name that `dataset.name` in a task may take.

A data-set function takes `data_root` (a folder, or None for the default download folder), then its own options, and returns a
`Dataset`. `num_train` is one of the options, so that lengths in epochs can be reckoned without the data. Beside its functions a
file has `EXAMPLES`: for each of them the (channels, height, width) of an example and the number of classes; an option `size`
overrides height and width, an option `num_classes` the classes. `IN_FILES` names those whose images are decoded while networks
train: jobs that read one are given more processors.
"""
