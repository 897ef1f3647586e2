"""What is trained: populations of small recurrent forecasters and their free runs.

Everything here is torch, numpy and safetensors. Nothing here knows Optuna, SQL, files, clocks or
the environment; `search` supplies those. One network is never trained alone: every tensor carries
a leading `member` axis, and a network's numbers do not depend on the company it is trained in.
"""
