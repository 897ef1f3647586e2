"""What free runs are worth and how they fail: scores, verdicts, sensitivity to errors."""
