"""The rules of the house that no linter knows; `python -m checks` runs them all.

Each module has one rule and a function `findings(root)` that yields a line for each breach.
"""
