"""The one generator of synthetic files: everything in it is invented and seeded."""
