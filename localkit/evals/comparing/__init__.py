"""Candidates, what is measured on them, and which to run."""
