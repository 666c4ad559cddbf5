"""Results as hypothesis makes them."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from localkit.chat.messages import Message
from localkit.chat.receipt import Receipt
from localkit.chat.result import Result
from localkit.chat.tools import ToolCall
from localkit.events import Timings, Usage
from localkit.runtime.params import SamplingParams, Structure
from localkit.runtime.values import Fingerprint, PromptLogprob, TokenLogprob

COUNT = st.integers(0, 10**6)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LOGPROB = st.floats(max_value=0, allow_nan=False)
TOP = st.lists(st.tuples(COUNT, LOGPROB), max_size=2).map(tuple)
SECONDS = st.floats(0, 1e6)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
CALL = st.builds(
    ToolCall,
    st.text(string.ascii_letters, min_size=1, max_size=9),
    st.dictionaries(TEXT, COUNT | TEXT | st.lists(st.none() | st.booleans())),
    TEXT,
)
STRUCTURE = st.builds(Structure, st.sampled_from(["json", "regex", "choice"]), TEXT)
PARAMS = st.builds(
    SamplingParams,
    temperature=st.floats(0, 5),
    mirostat=st.sampled_from([0, 1, 2]),
    dry_sequence_breakers=st.lists(TEXT, max_size=2).map(tuple),
    logit_bias=st.lists(st.tuples(COUNT, st.floats(allow_nan=False)), max_size=2).map(
        tuple
    ),
    seed=st.none() | COUNT,
    max_tokens=st.none() | COUNT,
    stop=st.lists(TEXT, max_size=2).map(tuple),
    structure=st.none() | STRUCTURE,
)
FINGERPRINT = st.builds(Fingerprint, *[TEXT] * 4, *[COUNT] * 6, *[TEXT] * 2)
RECEIPT = st.builds(
    Receipt,
    ref=TEXT,
    manifest_digest=DIGEST,
    weights_digest=DIGEST,
    quant=TEXT,
    bits_per_weight=SECONDS,
    type_mix=TEXT,
    lossy_origin=st.none() | TEXT,
    template_digest=st.none() | DIGEST,
    params=PARAMS,
    adapters=st.lists(TEXT, max_size=2).map(tuple),
    exact=st.booleans(),
    runtime=FINGERPRINT,
    localkit=TEXT,
    of_model=st.lists(TEXT, max_size=2).map(tuple),
    template_kind=st.none() | TEXT,
)
MESSAGE = st.builds(Message, st.sampled_from(["system", "user"]), TEXT) | st.builds(
    Message,
    st.just("assistant"),
    TEXT,
    TEXT,
    st.lists(CALL, max_size=1).map(tuple),
)
RESULT = st.builds(
    Result,
    text=TEXT,
    tokens=st.lists(COUNT, max_size=3).map(tuple),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls"]),
    usage=st.builds(Usage, *[COUNT] * 5),
    timings=st.builds(Timings, *[SECONDS] * 4),
    receipt=RECEIPT,
    prompt=TEXT,
    messages=st.lists(MESSAGE, max_size=3).map(tuple),
    max_tokens_hit=st.none() | COUNT,
    thinking=TEXT,
    tool_calls=st.lists(CALL, max_size=2).map(tuple),
    notes=st.lists(TEXT, max_size=2).map(tuple),
    logprobs=st.lists(st.builds(TokenLogprob, LOGPROB, TOP), max_size=2).map(tuple),
    prompt_logprobs=st.lists(
        st.builds(PromptLogprob, COUNT, LOGPROB, TOP), max_size=2
    ).map(tuple),
)
