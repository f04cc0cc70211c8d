"""Faults: fresh processes killed at named places, connections cut around each statement, and an independent model."""
