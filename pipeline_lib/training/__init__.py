"""Training a network: loop, batches, evaluation, optimisers, schedules, initialisers, numerics."""
