"""Constructs that every stack is made of."""
