"""Saliency: what each token has to do with a score, by several methods, and how far each may be trusted."""
