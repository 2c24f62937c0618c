"""What must stay fast: one file per claim of speed, each beside its alternative."""
