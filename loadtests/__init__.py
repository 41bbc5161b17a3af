"""Load generation, verdicts and reports; `loadtest --help` lists what it does."""
