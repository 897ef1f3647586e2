"""How much of a shift of level a forecaster goes along with."""

from dataclasses import replace

import numpy as np

from models.checkpoint import Checkpoint
from search.evaluation.ensembles import distinct, run_on
from search.study.task_data import View


def level_share(networks: Checkpoint, view: View) -> float:
    """How much of a shift of the values before free runs is found in these, from 0 to about 1.

    All values before the starts of a view are raised by a standard deviation of the training rows,
    channel by channel. 1 is a forecaster to which the level means nothing, 0 one that goes back to
    the level that it has learnt. It is the median over networks, starts, steps and channels.
    """
    own = distinct(networks)
    shift = view.training.std(axis=0)
    raised = replace(view, values=view.values + shift)
    with np.errstate(over="ignore", invalid="ignore"):
        shares = (run_on(own, [raised]) - run_on(own, [view])) / shift
    return float(np.median(np.nan_to_num(shares, nan=0.0)))
