"""The prompt inspector: a prompt as the model reads it."""
