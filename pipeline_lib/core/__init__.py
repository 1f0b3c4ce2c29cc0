"""What all other packages may use: types, random numbers, algebra on tensors, the registry of named functions, files."""
