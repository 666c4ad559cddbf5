"""What a model thought of each token: computed here, shown by the token views."""
