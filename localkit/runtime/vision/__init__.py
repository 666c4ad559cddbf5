"""Images: decoded, projected, and put before the model."""
