"""Turn finished scores into a report that a person reads and a program parses.

In: a :class:`~biostyle.reporting.document.Report`, which holds per-image score tables, arrays to look at, and where
everything came from. Out: one directory with ``index.html`` (self-contained), ``report.md``, ``scores.csv`` and
``summary.json``, all four made from the same numbers. Reading predictions, running models and deciding which
candidate to use never live here, and nothing here imports torch.
"""
