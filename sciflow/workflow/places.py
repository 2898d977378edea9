"""TOML bytes -> values, and the line and column of each key and value.

The standard library's parser keeps no positions. A private copy of it is loaded here and four of its functions are
wrapped, so that it notes where each key and value began (tried on CPython 3.11, 3.12 and 3.13, whose parsers are the
same). Should a later Python lack one of the four, the file is still read, without positions.
"""

from __future__ import annotations

import bisect
import importlib.util
import itertools
import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from sciflow.workflow.spec import Keys

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_PARTS = 32  # 20,000 parts of one dotted key, 40 kB, cost the parser 1.5 GB
MAX_ITEMS = 50_000  # keys and values, each of which costs the parser ten microseconds and 500 bytes
HEADER = 5  # values that a header costs as much as
WEIGHTS = {"=": 2, ",": 1, "\n": 0}  # and a key, an item
MAX_BARE = 1_000  # characters of a number or a bare key; the number pattern costs 130 bytes a digit

HOOKS = ("parse_key_part", "parse_value", "key_value_rule", "create_dict_rule", "create_list_rule")

TOKEN = re.compile(
    r"""
    (?P<comment> \#[^\n]* )
  | (?P<string> \"{3} (?: [^"\\] | \\. | \"{1,2}(?!\") )*+ \"{3,5} | '{3} (?: [^'] | '{1,2}(?!') )*+ '{3,5}
      | " (?: [^"\\\n] | \\. )*+ " | ' [^'\n]*+ ' )
  | (?P<open_string> ["'] )
  | (?P<open> [\[{] )
  | (?P<close> [\]}] )
  | (?P<end> [=,] | \n\s*+ )
  | (?P<bare> [A-Za-z0-9_+.:-]++ )
    """,
    re.VERBOSE | re.DOTALL,
)


class NotTomlError(Exception):
    """The text is not TOML, or is too much of it: where (line and column, from 1; 0 if unknown), what, and the fix."""

    def __init__(self, line: int, column: int, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.line, self.column, self.text, self.hint = line, column, text, hint


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """What a TOML text holds, and where: `keys` and `values` map a path of keys and indices to (line, column)."""

    data: dict[str, Any]
    keys: dict[Keys, tuple[int, int]] = field(default_factory=dict)
    """The first character of the key's own part; a table's is that of its first header."""
    values: dict[Keys, tuple[int, int]] = field(default_factory=dict)
    """The first character of the value, a quotation mark included. Items of lists stand only here."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A value as it was met: where it began, where its key's parts began, and what it holds."""

    start: int
    parts: tuple[tuple[int, str], ...]
    children: list[_Node]


def read(raw: bytes) -> tuple[str, Document]:
    """Return the text and what it holds. Raises NotTomlError, with one fault: what comes after it cannot be judged."""
    if len(raw) > MAX_BYTES:
        raise NotTomlError(0, 0, f"the file has {len(raw):,} bytes, and a workflow may have {MAX_BYTES:,}")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise NotTomlError(1, 1, "the file begins with a byte order mark", "save it as UTF-8 without one (BOM)")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = len(raw[: error.start].rpartition(b"\n")[2].decode("utf-8")) + 1
        fault = f"the byte 0x{raw[error.start]:02x} is not UTF-8"
        raise NotTomlError(line, column, fault, "save the file as UTF-8") from None
    return text, parse(text)


def parse(text: str) -> Document:
    """Return what the text holds. Raises NotTomlError."""
    text = text.replace("\r\n", "\n")
    _scan(text)
    reader = _Reader(text)
    try:
        return reader.document()
    except tomllib.TOMLDecodeError as error:
        raise _in_words(error, text, reader) from None
    except ValueError:
        # int() refuses more than 4,300 digits, and a date may name a day that is none.
        line, column = _place(_starts(text), reader.value)
        raise NotTomlError(line, column, "this value cannot be read", "is it a number of too many digits?") from None


def _scan(text: str) -> None:
    """Refuse what would cost the parser more than its size: depth, dotted parts, endless numbers, endless lists."""
    starts = _starts(text)
    bad = text.find("\x00")
    if bad >= 0:
        raise NotTomlError(*_place(starts, bad), "the file holds a NUL byte", "is it a text file?")
    depth = dots = items = 0
    fresh = True  # whether a statement may begin here
    for match in TOKEN.finditer(text):
        kind, piece, at = match.lastgroup, match.group(), match.start()
        if kind == "open_string":
            return  # it is never closed: the parser gets no further either, and says so better
        if kind == "bare":
            dots, items = dots + piece.count("."), items + piece.count(".")
            if dots >= MAX_PARTS:
                raise NotTomlError(*_place(starts, at), f"a key has more than {MAX_PARTS} dotted parts")
            if len(piece) > MAX_BARE:
                raise NotTomlError(*_place(starts, at), f"a key or number is {len(piece):,} characters long")
        elif kind == "open":
            depth, dots, items = depth + 1, 0, items + HEADER * fresh
            if depth > MAX_DEPTH:
                raise NotTomlError(*_place(starts, at), f"lists and tables are nested more than {MAX_DEPTH} deep")
        elif kind == "close":
            depth, dots = max(0, depth - 1), 0
        elif kind == "end":
            dots, items = 0, items + WEIGHTS[piece[0]]
        fresh = kind == "end" and piece[0] == "\n" and not depth
        if items > MAX_ITEMS:
            fault = f"the file holds more than {MAX_ITEMS:,} keys and values"
            raise NotTomlError(
                *_place(starts, at), fault, "write `range` instead of a long list, or take it `from` a file"
            )


def _starts(text: str) -> list[int]:
    return [0, *itertools.accumulate(len(line) + 1 for line in text.split("\n")[:-1])]


def _place(starts: list[int], at: int) -> tuple[int, int]:
    """Return (line, column) of an offset, both from 1; columns count characters."""
    line = bisect.bisect_right(starts, at)
    return line, at - starts[line - 1] + 1


class _Reader:
    """One reading of one text by a parser of its own."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = _starts(text)
        self.statement = 0  # where the statement now read began
        self.value = 0  # where the value now read began
        self.parts: list[tuple[int, str]] = []
        self.open: list[list[_Node]] = [[]]
        self.keys: dict[Keys, tuple[int, int]] = {}
        self.values: dict[Keys, tuple[int, int]] = {}

    def document(self) -> Document:
        parser = _private_parser()
        if parser is None:
            return Document(data=tomllib.loads(self.text))
        hooks = (self._key_part, self._value, self._pair, self._table, self._list)
        for name, hook in zip(HOOKS, hooks, strict=True):
            setattr(parser, name, hook(getattr(parser, name)))
        try:
            data = parser.loads(self.text)
        except ValueError as error:
            if isinstance(error, parser.TOMLDecodeError):
                raise tomllib.TOMLDecodeError(*error.args) from None
            raise
        return Document(data=data, keys=self.keys, values=self.values)

    def _key_part(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def parse_key_part(src: str, pos: int, *rest: Any) -> Any:
            end, part = original(src, pos, *rest)
            self.parts.append((pos, part))
            return end, part

        return parse_key_part

    def _value(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def parse_value(src: str, pos: int, *rest: Any) -> Any:
            node = _Node(pos, tuple(self.parts), [])
            self.value = pos
            self.parts.clear()
            self.open[-1].append(node)
            self.open.append(node.children)
            result = original(src, pos, *rest)
            self.open.pop()
            return result

        return parse_value

    def _pair(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def key_value_rule(src: str, pos: int, out: Any, header: tuple[str, ...], *rest: Any) -> Any:
            self.statement = pos
            self.parts.clear()
            self.open[:] = [[]]
            end = original(src, pos, out, header, *rest)
            self._note(_resolved(out.data.dict, header), self.open[0][0])
            return end

        return key_value_rule

    def _table(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def create_rule(src: str, pos: int, out: Any, *rest: Any) -> Any:
            self.statement = pos
            self.parts.clear()
            end, header = original(src, pos, out, *rest)
            for count, (start, _) in enumerate(self.parts, 1):
                self.keys.setdefault(_resolved(out.data.dict, header[:count], inside=False), self._at(start))
            path = _resolved(out.data.dict, header)
            self.keys.setdefault(path, self._at(self.parts[-1][0]))
            self.values.setdefault(path, self._at(pos))
            return end, header

        return create_rule

    _list = _table

    def _at(self, offset: int) -> tuple[int, int]:
        return _place(self.starts, offset)

    def _note(self, path: Keys, node: _Node) -> None:
        """Write down the places of a value and of all it holds."""
        todo = [(path, node)]
        while todo:
            path, node = todo.pop()
            for start, part in node.parts:
                path = (*path, part)
                self.keys.setdefault(path, self._at(start))
            self.values[path] = self._at(node.start)
            todo += [(path if child.parts else (*path, index), child) for index, child in enumerate(node.children)]


def _resolved(data: Any, header: tuple[str, ...], *, inside: bool = True) -> Keys:
    """Return a header's path with the index of each list of tables on it, that of the last one only if `inside`."""
    path: Keys = ()
    for count, part in enumerate(header, 1):
        path, data = (*path, part), data.get(part)
        if isinstance(data, list) and (inside or count < len(header)):
            path, data = (*path, len(data) - 1), data[-1]
    return path


def _private_parser() -> ModuleType | None:
    """Load a copy of the standard parser that nobody else sees, or nothing if it is not built as expected."""
    spec = importlib.util.find_spec("tomllib._parser")
    if spec is None or spec.loader is None:
        return None
    parser = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(parser)
    return parser if all(hasattr(parser, name) for name in (*HOOKS, "loads", "TOMLDecodeError")) else None


NUMBERS = "texts stand in quotes, and numbers are written as 7, 0.5 or 1e-3"

# What the parser says, what we say, and what to do.
# Those marked * are told where the statement began, those marked ^ where the value did.
WORDS = (
    ("Cannot overwrite a value", "*this key is set twice", "keep one of the two"),
    ("Cannot declare", "*this table is opened twice", "keep all of its keys under one header"),
    ("Duplicate inline table key", "this key is set twice", "keep one of the two"),
    ("Cannot redefine namespace", "*this table is opened elsewhere", "keep all of its keys in one place"),
    ("Cannot mutate immutable", "*this adds to a table or list that is already closed", "write its keys inside it"),
    ("Expected '='", "`=` is missing after this key", "write `key = value`"),
    ("Expected newline or end", "the line goes on after its value", f"one `key = value` a line; {NUMBERS}"),
    ("Expected ']]'", "`]]` is missing at the end of this header", "write `[[table]]`; a name has no spaces"),
    ("Expected ']'", "`]` is missing at the end of this header", "write `[table]`; a name has no spaces"),
    ("Unclosed array", "`,` or `]` is missing in this list", NUMBERS),
    ("Unclosed inline table", "`,` or `}` is missing in this table", "a table in braces stands on one line"),
    ("Unterminated string", "^this text is never closed", "close it with the quotation mark that opens it"),
    ("Expected \"'", "^this text is never closed", "close it with the quotation mark that opens it"),
    (
        "Found invalid character '\\n'",
        "this text is not closed on its line",
        "close it, or write it in '''three quotes'''",
    ),
    ("Illegal character '\\n'", "this text is not closed on its line", 'close it, or write it in """three quotes"""'),
    ("Illegal character", "a control character stands in this text", "write it as an escape, such as \\t"),
    ("Found invalid character", "a control character stands here, which TOML does not allow", "take it out"),
    ("Unescaped '\\'", "`\\` begins an escape that TOML does not know", "write `\\\\`, or the text in 'single quotes'"),
    ("Invalid hex value", "`\\u` wants four hexadecimal digits, `\\U` eight", "as in `\\u00e9`"),
    ("Escaped character is not", "this escape names no character", "write the character itself"),
    ("Invalid date", "this date or time does not exist", "write it as a text, in quotes"),
    ("Invalid initial character", "a key is missing here", "a key is a word, or a text in quotes"),
    ("Invalid statement", "a line is a `key = value` or a `[table]`, and this is neither", "as in `format = 1`"),
    ("Invalid value", "a value is missing here, or is not TOML", 'texts stand in "quotes"; truths are true and false'),
)


def _in_words(error: tomllib.TOMLDecodeError, text: str, reader: _Reader) -> NotTomlError:
    said = str(error)
    starts = _starts(text)
    found = re.search(r"\(at line (\d+), column (\d+)\)$", said)
    line, column = (int(found[1]), int(found[2])) if found else _place(starts, len(text))
    for begin, words, hint in WORDS:
        if said.startswith(begin):
            if words.startswith("*"):
                line, column = _place(starts, reader.statement)
            elif words.startswith("^"):
                line, column = _place(starts, reader.value)
            return NotTomlError(line, column, words.lstrip("*^"), hint)
    return NotTomlError(line, column, "this is not TOML", "is a quotation mark or a bracket missing?")
