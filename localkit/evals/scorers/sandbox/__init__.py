"""Code that a model wrote, run against tests in a child process that holds it."""
