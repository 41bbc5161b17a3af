"""A package, so that the browser of its fixtures ends with its last test: no loop can run beside Playwright's own."""
