"""Tasks: what is asked, of which data, in which form."""
