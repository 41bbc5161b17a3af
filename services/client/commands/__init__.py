"""One file per model that deserves more than `infer MODEL --input …`: the file's `run` becomes `infer <file name>`."""
