"""From a table alone to a study file: which columns are what, a horizon, and spans for it."""
