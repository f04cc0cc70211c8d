"""Protocols, one small file per seam, with their promises in words."""
