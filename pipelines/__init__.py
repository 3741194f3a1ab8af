"""The pipelines: straight lines of stage calls, one file each, no classes."""
