"""Programs that make checked-in files out of others."""
