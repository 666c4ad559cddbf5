"""Prefill and decode speed."""
