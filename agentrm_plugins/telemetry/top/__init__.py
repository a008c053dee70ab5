"""`agentrm top`: like htop, for agents. Needs the extra `top`."""
