"""Configurations of the cell-tracking pipeline: ``seed`` as published, ``cpu`` for two cores."""
