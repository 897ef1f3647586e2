"""Losses of a free run beside its squared error, one a file.

A new file here is a new loss: see `models.training.losses.loss` for what it provides.
"""
