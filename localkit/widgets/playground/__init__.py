"""The playground: one prompt, several models side by side."""
