"""Listens to a context and adds up how large each weight's inputs are.

As ``IMatrixCollector::collect_imatrix`` of llama.cpp's ``tools/imatrix``: every
product of a block's weight with activations, and every product with chosen experts.
Sums are kept in float64; llama-imatrix keeps float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from localkit.errors import QuantizeFailed
from localkit.gguf.imatrix import Importance
from localkit.runtime.imatrix.node import Node, check_layout, op_number

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable

    from numpy.typing import NDArray

_LEAST_TOKENS: Final = 16
"""llama-imatrix leaves out products with fewer rows."""
_F32: Final = 0


class Collector:
    """Sums of squared activations by weight; one context's, one thread's."""

    def __init__(self, engine: Any) -> None:
        """Start without sums.

        Raises:
            EngineMissing: the engine's tensors are laid out otherwise.
        """
        check_layout()
        self._dense, self._chosen = op_number("MUL_MAT"), op_number("MUL_MAT_ID")
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._failure: BaseException | None = None
        self.callback: Callable[..., Any] = engine.ggml_backend_sched_eval_callback(
            self._receive
        )
        """For `Context`, which must hold it for as long as the engine may call it."""

    def raise_failure(self) -> None:
        """Raise what went wrong while the engine computed, if anything did.

        Raises:
            QuantizeFailed: an activation was not a finite number.
        """
        if self._failure is not None:
            raise self._failure

    def entries(self) -> dict[str, Importance]:
        """Return what was added up so far."""
        return {
            name: Importance(
                sums.reshape(self._counts[name].size, -1).astype(np.float32),
                self._counts[name],
            )
            for name, sums in self._sums.items()
        }

    def _receive(self, address: int, ask: bool, _data: ctypes.c_void_p) -> bool:
        """Say whether a node is wanted, then take it; False ends the computation.

        Nothing may be raised into C.
        """
        try:
            node = Node.from_address(address)
            if ask:
                return self._wants(node)
            if node.op == self._chosen:
                self._add_chosen(node)
            else:
                self._add_dense(node)
        except BaseException as failure:  # raised by raise_failure
            self._failure = failure
            return False
        return True

    def _wants(self, node: Node) -> bool:
        if node.op == self._chosen:
            return True
        if node.op != self._dense:
            return False
        inputs = node.source(1)
        return (
            inputs.ne[1] >= _LEAST_TOKENS
            and inputs.type == _F32
            and node.source(0).weight_name.startswith("blk.")
        )

    def _add_dense(self, node: Node) -> None:
        """Add the inputs of a weight; of a stack of weights, to each its own."""
        weight, squares = node.source(0), _squares(node.source(1))
        n_columns, _, n2, n3 = weight.shape
        n_matrices = n2 * n3
        sums, counts = self._entry(weight, n_columns * n_matrices, 1)
        by_matrix = sums.reshape(n_matrices, n_columns)
        for i3, outer in enumerate(squares):
            for i2, rows in enumerate(outer):
                by_matrix[i3 % n3 * n2 + i2 % n2] += rows.sum(axis=0)
        counts += squares[..., 0].size // n_matrices
        _check_finite(sums, weight)

    def _add_chosen(self, node: Node) -> None:
        """Add each token's inputs to the experts that were chosen for it."""
        weight = node.source(0)
        n_columns, _, n_experts, _ = weight.shape
        # (tokens, 1 or chosen, columns) and (tokens, chosen)
        (squares,) = _squares(node.source(1))
        ((experts,),) = node.source(2).values()
        sums, counts = self._entry(weight, n_columns * n_experts, n_experts)
        by_expert = sums.reshape(n_experts, n_columns)
        for place in range(experts.shape[1]):
            inputs = squares[:, place % squares.shape[1]]
            chosen = experts[:, place]
            for expert in np.unique(chosen):
                by_expert[expert] += inputs[chosen == expert].sum(axis=0)
            counts += np.bincount(chosen, minlength=n_experts)
        _check_finite(sums, weight)

    def _entry(
        self, weight: Node, n_values: int, n_counts: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        name = weight.weight_name
        if name not in self._sums:
            self._sums[name] = np.zeros(n_values)
            self._counts[name] = np.zeros(n_counts, np.int64)
        return self._sums[name], self._counts[name]


def _squares(inputs: Node) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.square(inputs.values(), dtype=np.float64)
    return squares


def _check_finite(sums: NDArray[np.float64], weight: Node) -> None:
    if not np.isfinite(sums).all():
        msg = f"the model computes numbers that are not finite before {weight.name}"
        raise QuantizeFailed(msg, hint="`localkit verify` tells whether it is damaged")
