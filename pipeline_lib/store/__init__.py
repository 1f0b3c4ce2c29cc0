"""Artifacts on disk: tensors, tables, records, seals, resumption, jobs and who may write."""
