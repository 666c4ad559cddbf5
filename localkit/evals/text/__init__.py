"""Perplexity and KL divergence on a text."""
