"""The student's report that freerun starts from: its attempts as presets, and the answer."""
