"""What `benches/compare/run` is made of: one file for the ground, one for each group of rows."""
