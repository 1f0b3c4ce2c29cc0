"""Tables that are computed from tables. Every public function takes the tables by name, and a spec, and returns the rows of the
table of its own name.
"""
