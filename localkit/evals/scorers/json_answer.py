"""Whether the answer is JSON, fits a schema, and says what it should."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import regex

from localkit.errors import DatasetInvalid
from localkit.evals.scorers.json_text import read_json, same, share
from localkit.evals.scorers.scoring import definition_of, scored, unscored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample

PATTERN_S = 1.0
"""Longest that one search of a schema's pattern may take."""


@dataclass(frozen=True, slots=True)
class Json:
    """1 when the answer is JSON that fits the schema and, if asked, equals a target.

    promptfoo's `is-json`. Validated by the `jsonschema` package, in the draft that
    the schema names (else 2020-12); nothing is fetched, so a reference to another
    document makes the sample unscored. Formats are not checked.
    """

    name: str = "json"
    schema: Mapping[str, Any] | None = None
    """Of every sample."""
    schema_field: str | None = None
    """Field of the sample with its own schema."""
    compare: Literal["none", "equal", "keys"] = "none"
    """With the targets: not at all, as a whole, or by the share of keys at the top
    that are right (wrong ones beside them lower it)."""
    fenced: bool = True
    """Whether a code fence around the JSON is allowed."""

    def __post_init__(self) -> None:
        """Refuse a schema that is none."""
        if self.schema is not None and self.schema_field is not None:
            msg = "schema and schema_field are both given"
            raise DatasetInvalid(msg, hint="give one of them")
        if self.schema is not None:
            wrong = _schema_error(self.schema)
            if wrong is not None:
                raise DatasetInvalid(wrong, hint="see json-schema.org")

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "json")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return a value from 0 to 1; unscored when schema or target are broken."""
        del surroundings
        schema = self.schema
        if self.schema_field is not None:
            schema = sample.fields.get(self.schema_field)
            if isinstance(schema, str):
                try:
                    schema = read_json(schema)
                except ValueError as error:
                    return unscored(f"the schema is not JSON: {error}")
            if not isinstance(schema, Mapping):
                return unscored(f"the sample has no schema in '{self.schema_field}'")
            wrong = _schema_error(schema)
            if wrong is not None:
                return unscored(wrong)
        try:
            wanted = [read_json(target) for target in sample.target]
        except ValueError as error:
            wanted = []
            if self.compare != "none":
                return unscored(f"the target is not JSON: {error}")
        if self.compare != "none" and not wanted:
            return unscored("the sample has no target")
        try:
            value = read_json(answer.text, fenced=self.fenced)
        except ValueError as error:
            return scored(answer, 0.0, why=f"not JSON: {error}")
        if schema is not None:
            try:
                fault = _fault(value, schema)
            except LookupError as error:
                return unscored(str(error))
            if fault is not None:
                return scored(answer, 0.0, why=fault)
        match self.compare:
            case "none":
                return scored(answer, 1.0)
            case "equal":
                right = any(same(value, one) for one in wanted)
                return scored(answer, float(right))
            case "keys":
                return scored(answer, max(share(value, one) for one in wanted))


def _matches(
    validator: object, pattern: str, value: object, schema: object
) -> Iterator[Any]:
    """Do what jsonschema does for ``pattern``, within a time."""
    del validator, schema
    import jsonschema

    if isinstance(value, str) and not regex.search(pattern, value, timeout=PATTERN_S):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def _schema_error(schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a schema."""
    import jsonschema

    kind = jsonschema.validators.validator_for(
        schema, default=jsonschema.Draft202012Validator
    )
    try:
        kind.check_schema(dict(schema))
    except (jsonschema.SchemaError, RecursionError) as error:
        said = getattr(error, "message", "it is nested too deep")
        return f"the schema is invalid: {said[:200]}"
    return None


def _fault(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Return where ``value`` does not fit, or None.

    Raises:
        LookupError: the schema refers to another document or to itself for ever, or
            one of its patterns takes too long.
    """
    import jsonschema
    import referencing
    import referencing.exceptions

    kind = jsonschema.validators.validator_for(
        schema, default=jsonschema.Draft202012Validator
    )
    extend: Any = jsonschema.validators.extend  # not typed
    guarded = extend(kind, {"pattern": _matches})
    # The default registry would fetch what a reference names.
    validator = guarded(dict(schema), registry=referencing.Registry())
    try:
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    except (referencing.exceptions.Unresolvable, RecursionError) as error_:
        said = str(error_).splitlines()[0][:200]
        raise LookupError(f"the schema refers to what is not in it: {said}") from error_
    except TimeoutError as error_:
        msg = f"a pattern of the schema took longer than {PATTERN_S:g} s"
        raise LookupError(msg) from error_
    if error is None:
        return None
    place = "/".join(str(part) for part in error.absolute_path)
    where = f" at {place}" if place else ""
    return f"does not fit the schema{where}: {error.message[:200]}"
