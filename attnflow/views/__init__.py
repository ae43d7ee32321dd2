"""Drawings: each module turns one kind of result into the JSON that one panel of the page draws."""
