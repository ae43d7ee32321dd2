"""The room *Many texts*: which texts (`chosen`), what both models make of them (`reading`), its map and its heads."""
