"""Putting one question or many to a loaded model: options, streams, awaitables, map."""
