"""Merkle tree, checkpoint, envelope, bundle and verifier; works installed alone."""
