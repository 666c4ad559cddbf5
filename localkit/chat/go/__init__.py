"""Go's text/template, as far as the templates of Ollama models need it."""
