"""Our engine as a model of lm-evaluation-harness.

Importing `model` registers it there as ``localkit``::

    import localkit.evals.harnesses.lm_eval.model
    from lm_eval import simple_evaluate

    simple_evaluate("localkit", {"model": "smollm2:q4_k_m"}, tasks=["hellaswag"])
"""
