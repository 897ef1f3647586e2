"""The purposes of the jobs that explain a study, as they are stored.

ANATOMY    the best trial of a preset taken apart, see `search.evaluation.anatomy`
REPLAY     the report's own series, whose phase is 0
WITHOUT    followed by the name of a component: the winner without it
"""

ANATOMY, REPLAY, WITHOUT = "anatomy", "replay", "without "
