"""What a pretext teaches, and the mini-batches that it makes."""
