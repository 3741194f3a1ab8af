"""Training, one readable loop a method.

In: images and masks already in memory, settings, a seed, a device and a directory. Out: trained networks in that
directory, with ``history.csv``, ``samples/`` and, until it is finished, ``resume/``. Reading data sets and knowing where they
lie is the business of :mod:`biostyle.stages`.
"""
