"""The use cases, for page and programs alike, within the limits of this machine."""
