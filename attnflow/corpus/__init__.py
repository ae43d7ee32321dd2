"""Collections of texts: where they come from, and what is computed over them."""
