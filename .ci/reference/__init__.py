"""What the generated pages of docs/reference say, a module a source."""
