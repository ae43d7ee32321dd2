"""Analyses that run the model: attribution, saliency, what heads matter."""
