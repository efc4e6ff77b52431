"""How fast each stage is beside what the machine allows: the same work by a straight-line script, in the same run."""
