"""Vectors of texts, and the scores of rerankers."""
