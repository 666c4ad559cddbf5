"""The model store: content-addressed, laid out on disk as Ollama's."""

from localkit.store.add import AddReceipt
from localkit.store.ref import ModelRef
from localkit.store.remove import PruneReceipt, RemoveReceipt
from localkit.store.store import Store
from localkit.store.stored import Listing, StoredModel
from localkit.store.verify import BlobCheck

__all__ = [
    "AddReceipt",
    "BlobCheck",
    "Listing",
    "ModelRef",
    "PruneReceipt",
    "RemoveReceipt",
    "Store",
    "StoredModel",
]
