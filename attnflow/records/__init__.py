"""The frozen records that all parts exchange, with the axes of their arrays."""
