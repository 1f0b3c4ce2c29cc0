"""What stages share: data sets and the worlds of tasks, masks, training, and a measure of speed."""
