"""From a config to jobs: nodes and their keys, plan files, estimates, publication, removal."""
