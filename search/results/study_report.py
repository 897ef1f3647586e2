"""What the report says about one study: read from its storage, ready to be laid out."""

import base64
import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from search.results import figures
from search.results.answer import Answer, search_answer, shown_counts, winner_answer
from search.results.export import candidate_of
from search.results.pictures import CURVE, PICTURE, read_curve_csv
from search.results.score_table import (
    Entrant,
    Group,
    group,
    outcome_entrant,
    search_baselines,
    span,
)
from search.results.winner import BaselineOutcome, Outcome, Winner, outcomes, winner_of
from search.results.wording import VERDICTS, counted, short_baseline_name, truth_name
from search.series import Table
from search.storage import StudyReader, TrialRow
from search.study.definition import StudyDefinition

_SHOWN_TRIALS = 10
