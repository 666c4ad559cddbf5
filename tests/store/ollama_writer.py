"""Ollama's own store, made by hand from its description: no code of localkit."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from tests.store.ollama_reader import CONFIG, IMAGE, MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

HOME = "registry.ollama.ai/library"


class OllamaWriter:
    """Writes models into ``root`` as Ollama would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir(parents=True)

    def blob(self, data: bytes) -> str:
        """Write a blob; return its digest."""
        digits = hashlib.sha256(data).hexdigest()
        (self.root / "blobs" / f"sha256-{digits}").write_bytes(data)
        return f"sha256:{digits}"

    def layer(self, kind: str, data: bytes, **more: str) -> dict[str, Any]:
        """Write a blob; return the layer that names it."""
        digest = self.blob(data)
        return {
            "mediaType": f"{IMAGE}{kind}",
            "digest": digest,
            "size": len(data),
            **more,
        }

    def manifest(self, layers: list[dict[str, Any]], **config: Any) -> bytes:
        """Write a config; return a manifest of it and ``layers``."""
        document = {
            "model_format": "gguf",
            "model_family": "llama",
            "model_families": ["llama"],
            "model_type": "134.52M",
            "file_type": "F16",
            **config,
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {
                "type": "layers",
                "diff_ids": [layer["digest"] for layer in layers],
            },
        }
        data = json.dumps(document, separators=(",", ":")).encode()
        whole = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": CONFIG,
                "digest": self.blob(data),
                "size": len(data),
            },
            "layers": layers,
        }
        return json.dumps(whole, separators=(",", ":")).encode() + b"\n"

    def name(self, path: str, manifest: bytes) -> Path:
        """Give a manifest a name: ``host/namespace/model/tag``."""
        target = self.root / "manifests" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(manifest)
        return target

    def link(self, path: str, manifest: bytes) -> Path:
        """Give a manifest a name as newer Ollamas do: a link to its blob."""
        digest = self.blob(manifest)
        blob = self.root / "blobs" / digest.replace(":", "-")
        target = self.root / "manifests-v2" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(os.path.relpath(blob, target.parent))
        return target
