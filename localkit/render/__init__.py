"""Text that came from a model or a file, made safe to show."""
