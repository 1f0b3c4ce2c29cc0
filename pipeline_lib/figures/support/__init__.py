"""What figures share: style, and marks for what has no value."""
