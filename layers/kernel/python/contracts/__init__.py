"""What contexts may know of each other: events, step inputs and outputs, shared codes."""
