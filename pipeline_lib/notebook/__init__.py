"""What one types in a notebook: the library's functions on a task's world, states and masks, with the workflow's defaults.

`pipeline_lib` offers these, and what else is of use by hand, under one name each. Nothing here computes: it fills in arguments.

In the examples `digits` is a small world, `w0` its initial state, `one` and `other` two networks trained from it under two
orders, `mask` what magnitude pruning by a half leaves of `one`, and `spectrum` that of the Hessian at `one`.
"""
