"""Models behind a URL: servers that speak OpenAI's dialect or Ollama's."""
