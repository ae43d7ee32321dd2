"""Hidden Token Attribution of every head."""
