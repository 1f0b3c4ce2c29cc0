"""Speed and memory of the pipeline beside the usual way; never part of the tests. See README.md."""
