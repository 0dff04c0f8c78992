"""Stripe, API version 2026-10-28.endive, to the depth of saved cards, payments and refunds."""
