"""optuna-dashboard on an open storage, behind a login and a server that is meant for production.

    serving        serve_dashboard: the server, until a signal comes
    app            dashboard_app: the layers before optuna-dashboard, from the outside in
    login          the login page; sessions and passwords beside it
    guards         what is refused: foreign hosts, changes, costly plots, scripts in files
    study_pages    a study's page from memory; study_trials and study_figures are what it holds
    note           the note on a study, written when the study is created

Nothing is imported here: whoever makes a login need not wait for Optuna.
"""
