"""Configurations of the dermoscopy pipeline: ``full`` for a GPU and whole collections, ``cpu`` for two cores."""
