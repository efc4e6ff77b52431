"""Faults that strike the real stack, and the invariants that must hold afterwards."""
