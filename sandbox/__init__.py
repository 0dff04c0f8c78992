"""Stateful fakes of the providers, over HTTP: a Chalice app with its own table (see README.md)."""
