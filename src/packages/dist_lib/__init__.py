"""What `src/packages/dist` consists of: one module for each kind of package, and what they share."""
