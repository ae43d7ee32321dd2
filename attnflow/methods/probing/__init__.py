"""Probing classifiers: what of a sentence's tree can be read out of attention by few trained weights."""
