"""What identity's endpoints take and return, by noun; a function imports only its own."""
