"""Run configurations: one complete TOML file a run; nothing inherited, nothing interpolated."""
