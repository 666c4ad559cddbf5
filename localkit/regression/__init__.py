"""Saved notebooks against fresh runs: the pytest plugin, receipts, replay."""
