"""Training: a loop that yields one result per step, and the policy that stands outside it."""
