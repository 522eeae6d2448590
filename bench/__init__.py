"""Measured claims: each script prints the table that the docs quote, beside a floor measured in the same run."""
