"""The bundled pair of small models: generated English, its gold annotations, and the training that makes the pair."""
