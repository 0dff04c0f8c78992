"""Runs the whole of Mailroom on one machine: emulator, deploy, seed, tour."""
