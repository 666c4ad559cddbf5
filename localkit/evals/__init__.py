"""Measuring models: quality, speed, memory, and which quant to run.

`compare` does it all; the other modules hold one measure or one part of the
report each. Import them by name: this package imports none, because numpy and
scipy take half a second.
"""
