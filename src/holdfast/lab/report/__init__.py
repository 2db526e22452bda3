"""The report: the same blocks drawn on a terminal, in Markdown and on a web page."""
