"""Estimates with honest errors, and tests that tell two models apart."""
