"""A day of the stock kube-prometheus alerts, firing at random at a Firedoor that has no runbook for any of them."""
