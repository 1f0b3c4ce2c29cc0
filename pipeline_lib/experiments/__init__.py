"""What a user asks for: config files, starts in words, runs and ladders, what figures need."""
