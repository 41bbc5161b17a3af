"""The recipe of any kind that validates best, among those that a person thinks of."""
