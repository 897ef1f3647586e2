"""Storage of studies in SQLite or PostgreSQL: Optuna's tables, and freerun's own beside them.

`opening.open_storage` returns a `studies.Storage` of studies. `study_store.StudyReader` reads one
study, `study_store.StudyStore` changes it; `records` are what they take and return. What is stored
is text, numbers and bytes: this package knows neither study files nor models.
"""
