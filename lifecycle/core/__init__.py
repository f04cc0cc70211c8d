"""The deciding core: pure values and functions; the present, randomness and secrets arrive as arguments."""
