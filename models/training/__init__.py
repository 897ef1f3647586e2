"""Training of networks by gradient descent: data, noise, losses, forcing and the optimiser."""
