"""How networks are trained, whatever they are: one file for each thing that a study can search."""
