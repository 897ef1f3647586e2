"""What a study found, as numbers and typed rows: nothing here draws or writes files.

study_results   everything that a report shows of one study, read once
winner          which candidate won the final, and what final and test found
score_table     candidates and baselines side by side
groups          trials by preset, context, verdict and value of a parameter
importances     which parameters decide whether a trial is among the best
course          scores trial by trial, speed, pruning, workers, failures
status          what `freerun status` and `freerun run` print
wording         how numbers, baselines and candidates are written
"""
