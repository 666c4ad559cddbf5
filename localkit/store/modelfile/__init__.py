"""Modelfiles: the recipes of models as text, read and written."""

from localkit.store.modelfile.emit import emit, modelfile_of
from localkit.store.modelfile.modelfile import Modelfile, parse

__all__ = ["Modelfile", "emit", "modelfile_of", "parse"]
