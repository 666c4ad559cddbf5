"""The token view: an answer token by token, of one model or of two quants."""
