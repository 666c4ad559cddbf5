"""The monitor: what the loaded models do, what they take, and what they answered."""
