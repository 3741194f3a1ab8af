"""One file a stage: finished directories in, one finished directory out.

Stages are the only code that knows paths and provenance; what they do with arrays is done by the library below them. A
stage called again with the same request does nothing. Nothing here draws on a screen; progress goes to
:class:`biostyle.progress.Progress`.
"""
