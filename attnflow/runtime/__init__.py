"""Runs a loaded model on a text, and watches or gates what happens inside."""
