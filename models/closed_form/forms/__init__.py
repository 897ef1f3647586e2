"""Closed forms, one a file.

A new file here is a new closed form: see `models.closed_form.closed_form` for what it provides.
"""
