"""Stages: the only layer that reads and writes files. Each module's `run` reads, makes one library call, and writes."""
