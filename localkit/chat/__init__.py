"""Messages, chat templates, prompts as tokens, and the result of an answer."""
