"""Structured output: a form every sampled answer has, as masks over the vocabulary.

A `compiler.Compiler` belongs to one loaded model and turns a `params.Structure` into
a `Grammar`; each answer follows a `constraint.Constraint` of its own. llguidance does
the work. `forms.as_structure` reads what a person writes; it needs neither.
"""
