"""Memory by kind and device."""
