"""What `agentrm doctor` looks at: the installation, the configuration, and a program's models."""
