"""What is shown of studies and taken out of them: pictures, report, export, forecast, dashboard.

Each module stands alone, so that a command loads plotly, matplotlib or a web server only if it
needs them:

    pictures     trial_artifacts: a trial's rollout as PNG and its curve as CSV
    importances  importances: which parameters decide whether a trial is among the best
    winner       winner_of: which candidate won the final, and its results
    report       write_report: one HTML file about one or several studies
    export       export_study, write_export, read_export: a folder that retrains and forecasts
    forecast     forecast, write_forecast_csv: what comes after the last row of a table
    dashboard    serve_dashboard: optuna-dashboard on an open storage
"""
