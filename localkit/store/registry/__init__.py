"""Registries with Ollama's protocol: pull and push."""
