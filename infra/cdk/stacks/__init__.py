"""One module per context: its data, api and flows stacks."""
