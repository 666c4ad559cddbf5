"""Whether a load fits, and what it took."""
