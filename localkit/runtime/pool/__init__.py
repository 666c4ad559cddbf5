"""Models that stay loaded within a budget: admission, keep-alive, eviction."""
