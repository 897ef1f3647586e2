"""What cuts across all cells: layers, context, norms and the output, one a file."""
