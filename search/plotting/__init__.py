"""How results are drawn: one palette and one description of a drawing, for pages and pictures."""
