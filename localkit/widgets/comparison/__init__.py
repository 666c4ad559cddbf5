"""A comparison to look into: its table, every answer behind it, its plots."""
