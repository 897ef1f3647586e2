"""How results are drawn: one palette and one description of a drawing, for pages and pictures.

palette     roles, their colours, and the look of each baseline
drawing     lines and axes as data
charts      figures of plotly as JSON values, from a drawing or trace by trace
canvas      a drawing as PNG, by matplotlib
rollout     the drawing of a free run against the truth
errors      the drawings of errors by horizon and of training losses
study       charts of a whole study: history, rate, importances, verdicts, limits
artifacts   the files that a completed trial keeps
"""
