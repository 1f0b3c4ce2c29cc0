"""What a key contains: the definitions that a stage reaches, in a form of our own."""
