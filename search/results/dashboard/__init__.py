"""optuna-dashboard on an open storage, behind a login and a server that is meant for production.

    serving      serve_dashboard: the server, until a signal comes
    app          dashboard_app: the layers before it, one concern a file
    passwords    who may log in

Nothing is imported here: whoever makes a login need not wait for Optuna.
"""
