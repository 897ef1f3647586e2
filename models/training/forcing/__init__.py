"""What a free run reads in training, one way a file, and where gradients flow through it.

A free run reads its own forecast at each position of the rollout; forced, it reads some of the
truth instead. Forcing is part of training only: what is scored runs on its own. A new file here is
a new way of forcing: see `models.training.forcing.forcing` for what it provides.
"""
