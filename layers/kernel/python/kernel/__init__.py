"""What every context shares: HTTP, the gate, transactions, events, time, money and settings."""

from kernel import startup

startup.begin()
