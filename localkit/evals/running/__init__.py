"""Asking models the samples of tasks, and keeping what came of it."""
