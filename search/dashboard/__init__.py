"""optuna-dashboard on an open storage, behind a login and a server that is meant for production."""
