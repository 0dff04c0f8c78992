"""Plans, subscriptions, trials, invoices, card payments by Stripe, the ledger and usage."""
