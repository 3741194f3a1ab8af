"""The templates of the report: ``index.html.j2``, ``report.md.j2`` and ``style.css``."""
