"""The models widget: what is in the store, what is resident, and what would fit."""
