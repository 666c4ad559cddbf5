"""How many threads: measured, remembered, watched."""
