"""The report: one page of an experiment that opens offline, made of what is published of it. No job imports any of it."""
