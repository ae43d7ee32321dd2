"""The analyses of one case: each module describes those of its subject; page and endpoints read the descriptions."""
