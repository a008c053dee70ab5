"""What processes that share one limit may use of it: pure rules, the script's twin among them."""
