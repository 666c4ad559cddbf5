"""The model store: content-addressed, laid out on disk as Ollama's."""

from localkit.store.add import AddReceipt
from localkit.store.copy import CopyReceipt
from localkit.store.create import CreateReceipt
from localkit.store.recipe import Recipe
from localkit.store.ref import ModelRef
from localkit.store.remove import PruneReceipt, RemoveReceipt
from localkit.store.store import Store
from localkit.store.stored import Listing, StoredModel
from localkit.store.verify import BlobCheck

__all__ = [
    "AddReceipt",
    "BlobCheck",
    "CopyReceipt",
    "CreateReceipt",
    "Listing",
    "ModelRef",
    "PruneReceipt",
    "Recipe",
    "RemoveReceipt",
    "Store",
    "StoredModel",
]
