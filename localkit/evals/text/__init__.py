"""Perplexity and KL divergence on a text.

`measure` scores one loaded model, `quality` the candidates of a comparison.
`logits_file` reads and writes llama-perplexity's base file for whoever needs its
log-probabilities: `open_logits`, `write_logits`.
"""
