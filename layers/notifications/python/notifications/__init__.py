"""Transactional e-mail: what is written to whom, sent once, and what became of it."""
