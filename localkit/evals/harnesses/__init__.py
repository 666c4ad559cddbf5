"""Our engine inside the evaluation harnesses that others wrote.

`lm_eval` makes it a model of lm-evaluation-harness, `inspect` a provider of
inspect_ai. Each needs its extra; nothing else in localkit imports either.
"""
