"""Runs the steps: what a centre is, who holds which lease, what is due, what is rerun."""
