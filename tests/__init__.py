"""What the product promises, as sentences that run."""
