"""What answers in an evaluation: a loaded model, or one behind a URL."""
