"""Words, tables, plots and pages about a comparison."""
