"""Controls over ordinary output: playground, models, comparison, tokens, monitor.

Every widget shows two outputs: itself, and its *record*, a static output that says
all of what the widget shows. A saved notebook keeps the record; the widget needs a
kernel. Python halves are plain classes with a `Panel`; JavaScript halves are the
hand-written modules in ``esm/``.
"""
