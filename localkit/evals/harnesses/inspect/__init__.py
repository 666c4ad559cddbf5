"""Our engine as a provider of inspect_ai.

Installed with its extra, ``localkit/REF`` is a model wherever inspect takes one::

    inspect eval task.py --model localkit/smollm2:q4_k_m -M n_ctx=4096

``localkit-raw/REF`` continues the text of one message, without a chat template.
"""
