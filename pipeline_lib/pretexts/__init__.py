"""Pretexts: each public function of a file here is a name that a pretext in a config may take.

A pretext function takes its own options alone and returns a `Lesson`. What needs the data set, or a batch, is in the lesson's
functions.
"""
