"""What other programs' caches and any folder hold, and which of it is stored."""
