"""Touching the disk safely: atomic writes, locks, hashing, links."""
