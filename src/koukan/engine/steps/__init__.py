"""One module for each step of a job, named after the verb that `jobs/*.toml` uses."""
