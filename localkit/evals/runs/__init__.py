"""The results database, and what can be done with what is in it."""
