"""The report's section on studies of presets: what each attempt came to, why, and what works.

`findings` reads what such studies hold, `sentences` says it, `section` draws it.
"""

from search.results.attempts.section import AttemptsSection, attempts_section

__all__ = ["AttemptsSection", "attempts_section"]
