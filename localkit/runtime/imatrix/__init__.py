"""Importance matrices: collected from a text, for quantizing with less loss."""
