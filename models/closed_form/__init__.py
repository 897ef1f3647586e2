"""Forecasters that are fitted in closed form, in double precision.

A readout or a recurrence is linear in its coefficients, so that one factorisation of the training
span gives the best ones for every strength of regularisation.
"""
