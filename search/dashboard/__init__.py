"""optuna-dashboard on an open storage, behind a login and a server that is meant for production.

Nothing is imported here: whoever makes a login need not wait for Optuna.
"""
