"""The pytest plugin. Loaded in every pytest run: it imports nothing until it is used."""
