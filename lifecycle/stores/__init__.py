"""Adapters for the systems that hold data; each is one technology and a stranger to the others."""
