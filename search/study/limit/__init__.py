"""What any forecaster could reach at best on a noisy sine, before a trial is spent."""
