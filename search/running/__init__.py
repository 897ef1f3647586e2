"""What runs: proposals, workers, the final, fleets, retraining."""
