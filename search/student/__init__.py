"""The student's report that freerun starts from: its attempts as presets, and the answer.

findings     what studies of presets found: typed numbers by preset
sentences    the same in sentences
section      report_sections: the part of a report on them
"""
