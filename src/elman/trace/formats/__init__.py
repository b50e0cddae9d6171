"""A document in every format: plain text, a terminal, Markdown, LaTeX, HTML; values as data."""
