"""Forecasters that are fitted in closed form, one a file, in double precision.

A readout or a recurrence is linear in its coefficients, so that one factorisation of the training
span gives the best ones for every strength of regularisation. `models.fitting` fits members,
`models.families` says which forecasters are fitted and which are trained by gradient descent.
"""

from models.closed_form.ar import AR
from models.closed_form.closed_form import ClosedForm
from models.closed_form.esn import ESN
from models.closed_form.nvar import NVAR
from models.closed_form.ssa import SSA

CLOSED_FORMS: dict[str, type[ClosedForm]] = {"esn": ESN, "nvar": NVAR, "ar": AR, "ssa": SSA}

__all__ = ["AR", "CLOSED_FORMS", "ESN", "NVAR", "SSA", "ClosedForm"]
