"""The report: one HTML file about one or several studies.

page            write_report: the file
parts           figures with their words, and sections that other rooms add
study_section   the report on one study, as typed values
answer          a study's answer in sentences
figures         a study's figures, each with its words
"""
