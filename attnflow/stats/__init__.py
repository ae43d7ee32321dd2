"""What arrays alone tell: graphs, influence, and statistics that add up over texts."""
