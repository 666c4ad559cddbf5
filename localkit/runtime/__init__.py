"""Running models: the protocol, llama.cpp behind it, and a fake for tests."""
