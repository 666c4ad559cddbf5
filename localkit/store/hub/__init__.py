"""Hugging Face: repos searched, their quants listed, their files brought in."""
