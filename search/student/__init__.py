"""The student's report that freerun starts from: its attempts as presets, and the answer.

jobs         what workers do after the final to explain a study
findings     what studies of presets found: typed numbers by preset
sentences    the same in sentences
figures      the charts that no other part of a report has; plots gives them their words
section      report_sections: the part of a report on them
"""
