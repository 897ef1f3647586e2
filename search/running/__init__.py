"""What runs: proposals, workers, the final, local fleets, retraining."""
