"""Horizon steps at which the error of a trial is told, where a task names no others.

Apart from `models.scores`, so that a study file is read without torch.
"""

ERROR_HORIZONS = (1, 4, 16, 64, 256, 1000)
