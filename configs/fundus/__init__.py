"""Configurations of the fundus pipeline: ``full`` for a GPU and whole collections, ``cpu`` for two cores."""
