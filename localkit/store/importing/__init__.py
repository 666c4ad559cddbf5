"""Ways in for what lies on this machine: files, parts, adapters, folders of weights."""
