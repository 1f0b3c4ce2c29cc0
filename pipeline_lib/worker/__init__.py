"""A process a run, on one machine, that has loaded what jobs need and forks each of them."""
