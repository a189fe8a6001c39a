"""Cards and voice messages as docs/protocol.md §6 says."""

from primitives import cbor

POLL = b"\x01" * 32
CONTROLS = ([7, POLL, [0, 2]], [8, POLL])


def card_message(salt, media_type, content):
    """The first of two alternatives is the card, the second a text (draft-ietf-mimi-content-08)."""
    single = lambda media_type, content: (
        b"\x85\x01\x60\x01" + cbor(media_type) + cbor(content)
    )
    parts = b"\x82" + single(media_type, content)
    parts += single("text/plain;charset=utf-8", b"in words")
    return b"\x87" + cbor(salt) + b"\xf6\x40\xf6\xf6\xa0" + b"\x85\x01\x60\x03\x00" + parts


def folded(line):
    """RFC 6350 §3.2, never inside a character."""
    lines, now = [], b""
    for letter in line:
        if len(now) + len(letter.encode()) > 75:
            lines.append(now)
            now = b" "
        now += letter.encode()
    return b"\r\n".join([*lines, now]) + b"\r\n"


def messages(vectors, company, user):
    """What the messages of the vectors are, by what they are called there."""
    salt = b"\x5a" * 16
    place = "geo:48.201,-16.3695;u=12;name=Werkstor%203%2C%20S%C3%BCd"
    name = "Kühn\\; Glas\\, und ein Name\\, für den eine Zeile von fünfundsiebzig Bytes nicht reicht"
    vcard = b"BEGIN:VCARD\r\nVERSION:4.0\r\n" + folded("FN:" + name)
    vcard += "ORG:Kühn\r\nTEL:+49 30 901820\r\nEND:VCARD\r\n".encode()
    poll = cbor(["Was essen wir?", ["Kantine", "Pizza", "Salat"], 2])
    expected = {
        "a place": card_message(salt, "text/uri-list", place.encode()),
        "a colleague": card_message(salt, "text/uri-list", f"hauspost:{company}/{user}".encode()),
        "a contact": card_message(salt, "text/vcard", vcard),
        "a poll": card_message(salt, "application/vnd.hauspost.poll", poll),
    }
    spoken = b"\xa2" + cbor("hauspost/voice") + cbor([42000, b"\x00\x7f\xff"])
    spoken += cbor("hauspost/origin") + cbor(bytes.fromhex(vectors["user"]))
    spoken = b"\x87" + cbor(salt) + b"\xf6\x40\xf6\xf6" + spoken + b"\x85\x01\x60\x01"
    spoken += cbor("text/plain;charset=utf-8") + cbor(b"")
    expected["a voice message passed on"] = spoken
    return expected
