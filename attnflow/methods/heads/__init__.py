"""How much each head matters, and what happens without it."""
