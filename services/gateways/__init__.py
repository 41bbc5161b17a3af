"""Several gateway processes behind one port: one leads, the others follow."""
