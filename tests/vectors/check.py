#!/usr/bin/env python3
"""Checks the known-answer vectors without the Rust crate: `python3 tests/vectors/check.py`.

Each function follows one section of docs/protocol.md and computes every value anew from the inputs
of the vectors. It needs Python 3.9 and `cryptography` 38 or later. Exit status 1: a value differs.
"""

import base64
import json
import pathlib
import sys

import cards
import own_state
import primitives as p
from policies import COUNCIL_ITEMS, GENERAL_ITEMS, offset, quiet, read_part
from primitives import Refused, cbor, read_cbor, read_cbor_prefix, sha256, show

FOLDER = pathlib.Path(__file__).parent
COUNT = 0


class Differs(Exception):
    """A vector says something else than the protocol."""


def equal(what, found, expected):
    global COUNT
    COUNT += 1
    if found != expected:
        raise Differs(f"{what}\n  computed {show(found)}\n  vector   {show(expected)}")


def refused(what, attempt, why=None):
    """`attempt` must end in a refusal, and for the reason given."""
    global COUNT
    COUNT += 1
    try:
        attempt()
    except Refused as refusal:
        if why not in (None, str(refusal)):
            raise Differs(f"{what}: refused for {refusal}, not for {why}") from None
        return
    raise Differs(f"{what}: was not refused")


def load(name):
    return json.loads((FOLDER / name).read_text())


def unhex(text):
    return bytes.fromhex(text)


def value(fields):
    """The value that `fields` shows."""
    if isinstance(fields, list):
        return [value(item) for item in fields]
    if isinstance(fields, str):
        kind, _, rest = fields.partition(":")
        return unhex(rest) if kind == "hex" else rest
    return fields


def encoded(what, vector):
    """Checks an encoding in both directions and returns its bytes."""
    data = unhex(vector["bytes"])
    equal(what, cbor(value(vector["fields"])), data)
    equal(what, read_cbor(data), value(vector["fields"]))
    return data


# --- docs/protocol.md §1 -------------------------------------------------------------------------


def label(text):
    return bytes([len(text)]) + text.encode()


def labelled_hash(name, data):
    return sha256(label(name) + data)


def derive(key, name, context, length=32):
    return p.expand(key, cbor(["hauspost/1 " + name, context, length]), length)


def extract(salt, data):
    return p.mac(salt.encode(), data)


def encoding():
    vectors = load("encoding.json")
    for case in vectors["values"]:
        encoded(case["what"], case)
    for case in vectors["refused"]:
        refused(case["why"], lambda: read_cbor(unhex(case["bytes"])))


def hashes():
    vectors = load("hashes.json")
    for case in vectors["hash"]:
        found = labelled_hash(case["label"], unhex(case["input"]))
        equal("hash", found, unhex(case["output"]))
    for case in vectors["extract"]:
        equal("extract", extract(case["salt"], unhex(case["input"])), unhex(case["output"]))
    for case in vectors["derive"]:
        context = case["context"]
        context = unhex(context) if isinstance(context, str) else context
        found = derive(unhex(case["key"]), case["label"], context, case["length"])
        equal("derive", found, unhex(case["output"]))
    for case in vectors["sign"]:
        seed, public = unhex(case["seed"]), unhex(case["public"])
        message = label(case["label"]) + unhex(case["input"])
        equal("public key", p.ed25519_public(seed), public)
        equal("key id", labelled_hash("hauspost/1 key", public)[:16], unhex(case["key_id"]))
        equal("signature", p.ed25519_sign(seed, message), unhex(case["signature"]))
    for case in vectors["verify"]:
        message = label(case["label"]) + unhex(case["input"])
        valid = p.ed25519_verify(unhex(case["public"]), message, unhex(case["signature"]))
        equal(case["what"], valid, case["valid"])


# --- §2 ------------------------------------------------------------------------------------------


def entries():
    vectors = load("entries.json")
    seed, device = unhex(vectors["signer"]["seed"]), unhex(vectors["signer"]["device"])
    prev, bones = bytes(32), []
    for case in vectors["entries"]:
        head = encoded("head", case["head"])
        payload = unhex(case["payload"])
        if read_cbor(head)[1] != 3:
            body, signer, signature = read_cbor(payload)
            equal("device", signer, device)
            message = label("hauspost/1 entry-body") + cbor([head, body, device])
            equal("signature of a body", p.ed25519_sign(seed, message), signature)
        core = labelled_hash("hauspost/1 core", cbor([head, sha256(payload), len(payload)]))
        equal("core", core, unhex(case["core"]))
        link = [case["seq"], prev, case["t_ms"], case["co"]]
        equal("prev", prev, unhex(case["prev"]))
        found = labelled_hash("hauspost/1 entry", cbor(link + [core]))
        equal("hash", found, unhex(case["hash"]))
        place = [case["seq"], case["t_ms"], case["co"]]
        sent = cbor([head, payload, None, None] + place)
        equal("entry as sent", sent, unhex(case["sent"]))
        erased = cbor([head, None, sha256(payload), len(payload)] + place)
        equal("entry without its payload", erased, unhex(case["sent_erased"]))
        prev, bones = found, bones + [place + [core]]
    skeleton = encoded("skeleton", vectors["skeleton"])
    equal("skeleton", cbor([bytes(32), bones]), skeleton)


# --- §4 ------------------------------------------------------------------------------------------


def epoch_secret(exported, context):
    return derive(extract("hauspost/1 epoch", exported), "E", context)


def keys():
    for case in load("keys.json")["cases"]:
        context = encoded("context", case["context"])
        epoch = epoch_secret(unhex(case["exported"]), context)
        equal("E", epoch, unhex(case["epoch"]))
        for chain in case["chains"]:
            secret = derive(epoch, "chain", cbor([context, chain["leaf"]]))
            for index, step in enumerate(chain["steps"]):
                equal("index", index, step["index"])
                equal("S", secret, unhex(step["chain"]))
                record = derive(secret, "record", index)
                equal("K", record, unhex(step["record"]))
                equal("Ke", derive(record, "enc", b""), unhex(step["encryption"]))
                equal("Kn", derive(record, "nonce", b""), unhex(step["nonce"]))
                secret = derive(secret, "next", index)


# --- §5 ------------------------------------------------------------------------------------------


def capsules():
    for case in load("capsules.json")["cases"]:
        context, epoch = unhex(case["context"]), unhex(case["epoch"])
        ga = read_cbor(context)[3]
        ids, private = [], []
        for side in (case["a"], case["b"]):
            public, key = p.xwing_keys(unhex(side["seed"]))
            equal("archive key", public, unhex(side["public"]))
            ids.append(labelled_hash("hauspost/1 archive-key", public)[:16])
            equal("archive key id", ids[-1], unhex(side["id"]))
            private.append((public, key))
        body, shared = seal_capsule(context, ga, epoch, ids, [public for public, _ in private])
        randomness = derive(epoch, "capsule", cbor([context] + ids), 128)
        equal("randomness", randomness, unhex(case["randomness"]))
        equal("sA", shared[0], unhex(case["shared_a"]))
        equal("sB", shared[1], unhex(case["shared_b"]))
        equal("capsule", body, unhex(case["body"]))
        equal("digest", sha256(body), unhex(case["digest"]))

        # Opening: both halves, the box, and the capsule made again from what was in it.
        ga, id_a, id_b, c_a, c_b, box = read_cbor(unhex(case["body"]))
        halves = [p.xwing_decapsulate(key, c) for (_, key), c in zip(private, (c_a, c_b))]
        equal("halves", halves, shared)
        key = box_key(context, [id_a, id_b], c_a, c_b, halves)
        opened = p.ChaCha20Poly1305(key).decrypt(bytes(12), box, b"")
        equal("E from the capsule", opened, epoch)


def seal_capsule(context, ga, epoch, ids, publics):
    randomness = derive(epoch, "capsule", cbor([context] + ids), 128)
    c_a, s_a = p.xwing_encapsulate(publics[0], randomness[:64])
    c_b, s_b = p.xwing_encapsulate(publics[1], randomness[64:])
    key = box_key(context, ids, c_a, c_b, [s_a, s_b])
    box = p.ChaCha20Poly1305(key).encrypt(bytes(12), epoch, b"")
    return cbor([ga] + ids + [c_a, c_b, box]), [s_a, s_b]


def box_key(context, ids, c_a, c_b, shared):
    secret = extract("hauspost/1 capsule", b"".join(shared))
    return derive(secret, "box", cbor([context] + ids + [sha256(c_a + c_b)]))


# --- §6 ------------------------------------------------------------------------------------------


def padded(length):
    if length <= 512:
        return (length + 31) // 32 * 32
    exponent = length.bit_length() - 1
    unit = 1 << exponent - exponent.bit_length()
    return (length + unit - 1) // unit * unit


def nonce_of(key, head, plain):
    return p.mac(derive(key, "nonce", b""), len(head).to_bytes(8, "big") + head + plain)[:24]


def seal_record(key, head, statement, seed):
    message = label("hauspost/1 record") + cbor([head, statement])
    item = cbor([statement, p.ed25519_sign(seed, message)])
    plain = item + bytes(padded(len(item)) - len(item))
    nonce = nonce_of(key, head, plain)
    return nonce + p.xchacha_seal(derive(key, "enc", b""), nonce, head, plain)


def open_record(key, head, payload):
    """Statement and signature, after every check but the signature's."""
    nonce, sealed = payload[:24], payload[24:]
    plain = p.xchacha_open(derive(key, "enc", b""), nonce, head, sealed)
    if nonce_of(key, head, plain) != nonce:
        raise Refused("nonce")
    (statement, signature), used = read_cbor_prefix(plain)
    if len(plain) != padded(used) or any(plain[used:]):
        raise Refused("padding")
    return statement, signature


def records():
    vectors = load("records.json")
    for case in vectors["cases"]:
        key, head, payload = (unhex(case[name]) for name in ("record_key", "head", "payload"))
        statement = encoded(case["what"], case["statement"])
        seed, public = unhex(case["author"]["seed"]), unhex(case["author"]["public"])
        equal(case["what"], seal_record(key, head, statement, seed), payload)
        equal("nonce", payload[:24], unhex(case["nonce"]))
        opened, signature = open_record(key, head, payload)
        equal("statement", opened, statement)
        message = label("hauspost/1 record") + cbor([head, statement])
        equal("signature", p.ed25519_verify(public, message, signature), True)
    for length, expected in vectors["padding"]:
        equal(f"padding of {length}", padded(length), expected)
    for case in vectors["refused"]:
        key, head, payload = (unhex(case[name]) for name in ("record_key", "head", "payload"))
        refused(case["why"], lambda: open_record(key, head, payload), case["refused"])


def uuid(data):
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def content():
    vectors = load("content.json")
    company, user, log = (uuid(unhex(vectors[name])) for name in ("company", "user", "log"))
    for case in vectors["cases"]:
        equal("sender", f"hauspost:{company}/{user}", case["sender"])
        equal("room", f"hauspost:{company}/l/{log}", case["room"])
        hashed = b"".join(
            len(uri).to_bytes(2, "big") + uri.encode() for uri in (case["sender"], case["room"])
        )
        hashed += unhex(case["message"]) + unhex(case["salt"])
        equal(case["what"], b"\x01" + sha256(hashed)[:31], unhex(case["id"]))
        # The salt is the first item of an array of seven (draft-ietf-mimi-content-08).
        equal("salt", unhex(case["message"])[:18], b"\x87\x50" + unhex(case["salt"]))
    # "Cards": what stands in the first alternative, and the controls about polls.
    found = {case["what"]: unhex(case["message"]) for case in vectors["cases"]}
    for what, message in cards.messages(vectors, company, user).items():
        equal(what, found[what], message)
    for vector, control in zip(vectors["controls"], cards.CONTROLS):
        equal("control", read_cbor(encoded("control", vector)), control)


# --- §7, "Reset" ---------------------------------------------------------------------------------


def check_reset_head(head):
    version, kind, log, gen, epoch, leaf, index, cap, transient, blobs = head
    fits = version == 1 and kind == 4 and gen >= 1 and epoch == 0 and transient == 0
    if not fits or [leaf, index, cap, blobs] != [None, None, None, []]:
        raise Refused("not the head of a reset")


def resets():
    vectors = load("resets.json")
    seed, device = unhex(vectors["signer"]["seed"]), unhex(vectors["signer"]["device"])
    for case in vectors["entries"]:
        head, body = encoded("head", case["head"]), encoded("body", case["body"])
        check_reset_head(read_cbor(head))
        seen, at, reason, bad_seq, roster, missing = read_cbor(body)
        equal("broken names its commit", bad_seq is not None, reason == 0)
        equal("roster and missing ascend and share nobody", sorted({*roster, *missing}), sorted(roster + missing))
        equal("the author's device is in the roster", device in roster, True)
        signature = p.ed25519_sign(seed, label("hauspost/1 entry-body") + cbor([head, body, device]))
        payload = cbor([body, device, signature])
        equal("payload", payload, unhex(case["payload"]))
        core = labelled_hash("hauspost/1 core", cbor([head, sha256(payload), len(payload)]))
        equal("core", core, unhex(case["core"]))
        _, _, log, gen, *_ = read_cbor(head)
        equal("group id", log + gen.to_bytes(4, "big"), unhex(case["group_id"]))
    for case in vectors["refused_heads"]:
        head = read_cbor(encoded("head", case))
        refused(case["why"], lambda head=head: check_reset_head(head))


# --- §9 ------------------------------------------------------------------------------------------


def shares():
    for case in load("shares.json")["cases"]:
        seed, given = unhex(case["seed"]), [unhex(share["share"]) for share in case["shares"]]
        for share, vector in zip(given, case["shares"]):
            equal("share", labelled_hash("hauspost/1 share", share), unhex(vector["hash"]))
        for left_out in range(3):
            pair = [share for i, share in enumerate(given) if i != left_out]
            equal("two shares", p.combine_shares(pair), seed)
        equal("three shares", p.combine_shares(given), seed)


def hpke():
    for case in load("hpke.json")["cases"]:
        public, key = p.xwing_keys(unhex(case["seed"]))
        equal("key", public, unhex(case["public"]))
        enc, shared = p.xwing_encapsulate(public, unhex(case["randomness"]))
        equal("enc", enc, unhex(case["enc"]))
        equal("shared", shared, unhex(case["shared"]))
        equal("shared", p.xwing_decapsulate(key, enc), shared)
        ct = p.hpke_seal(shared, case["info"].encode(), unhex(case["aad"]), unhex(case["plain"]))
        equal("ct", ct, unhex(case["ct"]))


def xwing():
    """The vectors of draft-connolly-cfrg-xwing-kem itself: they check `primitives`."""
    for case in load("xwing.json")["cases"]:
        public, key = p.xwing_keys(unhex(case["seed"]))
        equal("pk", public, unhex(case["pk"]))
        ciphertext, shared = p.xwing_encapsulate(public, unhex(case["eseed"]))
        equal("ct", ciphertext, unhex(case["ct"]))
        equal("ss", shared, unhex(case["ss"]))
        equal("ss", p.xwing_decapsulate(key, ciphertext), shared)


# --- §12 -----------------------------------------------------------------------------------------


def company():
    vectors = load("company.json")
    id = unhex(vectors["company"])
    genesis, _, device = entries = vectors["entries"]
    for entry in entries:
        head, payload = encoded("head", entry["head"]), encoded("payload", entry["payload"])
        body, signatures = read_cbor(payload)
        equal("log", read_cbor(head)[2], id)
        message = label("hauspost/1 entry-body") + cbor([head, body])
        expected = []
        for seed in map(unhex, entry["seeds"]):
            key_id = labelled_hash("hauspost/1 key", p.ed25519_public(seed))[:16]
            expected.append([key_id, p.ed25519_sign(seed, message)])
        equal("signatures, sorted", signatures, sorted(expected))
    root = read_cbor(read_cbor(unhex(genesis["payload"]["bytes"]))[0])[2]
    equal("pin", labelled_hash("hauspost/1 root", root), unhex(vectors["pin"]))
    body = read_cbor(read_cbor(unhex(device["payload"]["bytes"]))[0])
    _, user, device, key, _, history, keystore, voucher, seed_signature, _ = body
    expected = labelled_hash("hauspost/1 history-key", unhex(vectors["history_key"]))
    equal("history key hash", history, expected)
    seed_public, for_user, not_after, voucher_signature = voucher
    seed, authority = unhex(vectors["enrolment_seed"]), unhex(vectors["authority_seed"])
    equal("seed", p.ed25519_public(seed), seed_public)
    message = label("hauspost/1 voucher") + cbor([id, seed_public, for_user, not_after])
    equal("voucher", p.ed25519_sign(authority, message), voucher_signature)
    message = label("hauspost/1 enrol") + cbor([id, user, device, key, keystore, history])
    equal("seed signature", p.ed25519_sign(seed, message), seed_signature)


def policy():
    vectors = load("policy.json")
    for case in vectors["documents"]:
        council, rest = read_cbor(unhex(case["bytes"]))
        faults = [name for name, _ in case["faults"]]
        for name, part, known, read in (
            ("CouncilPart", council, COUNCIL_ITEMS, case["read_council"]),
            ("GeneralPart", rest, GENERAL_ITEMS, case["read_rest"]),
        ):
            taken, found = read_part(part, known)
            equal(case["what"], cbor(taken), unhex(read))
            found = [name] if found is True else found
            named = [fault for fault in faults if fault == name or fault in [item[0] for item in known]]
            equal(f"faults of {case['what']}", found, named)
    plan = vectors["quiet_hours"]
    for zone in vectors["clock"]:
        for time in zone["times"]:
            seconds = time["t_ms"] // 1000 + offset(zone["rule"], time["t_ms"] // 1000)
            day, minute = seconds // 86400, seconds % 86400 // 60
            equal("day", [day, (day + 3) % 7, minute], [time["day"], time["weekday"], time["minute"]])
            equal("quiet", any(quiet(span, (day + 3) % 7, minute) for span in plan), time["quiet"])


def tree_root(leaves):
    """MTH of RFC 9162 §2.1.1 over leaf hashes."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + tree_root(leaves[:k]) + tree_root(leaves[k:]))


def split(count):
    return 1 << (count - 1).bit_length() - 1


def inclusion_path(m, leaves):
    """PATH of RFC 9162 §2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return inclusion_path(m, leaves[:k]) + [tree_root(leaves[k:])]
    return inclusion_path(m - k, leaves[k:]) + [tree_root(leaves[:k])]


def consistency_proof(m, leaves, whole=True):
    """PROOF of RFC 9162 §2.1.4.1."""
    if m == len(leaves):
        return [] if whole else [tree_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return consistency_proof(m, leaves[:k], whole) + [tree_root(leaves[k:])]
    return consistency_proof(m - k, leaves[k:], False) + [tree_root(leaves[:k])]


def leaf_hash(data):
    return sha256(b"\x00" + data)


def tree():
    vectors = load("tree.json")
    leaves = [leaf_hash(unhex(leaf)) for leaf in vectors["merkle"]["leaves"]]
    for size, root in enumerate(vectors["merkle"]["roots"]):
        equal(f"root of {size}", tree_root(leaves[:size]), unhex(root))
    for case in vectors["merkle"]["inclusion"]:
        found = inclusion_path(case["index"], leaves[: case["size"]])
        equal("inclusion", found, [unhex(node) for node in case["path"]])
    for case in vectors["merkle"]["consistency"]:
        found = consistency_proof(case["old"], leaves[: case["new"]])
        equal("consistency", found, [unhex(node) for node in case["proof"]])

    heads = [leaf_hash(encoded("heads leaf", leaf)) for leaf in vectors["heads"]["leaves"]]
    equal("heads_root", tree_root(heads), unhex(vectors["heads"]["root"]))
    outer = [leaf_hash(encoded("outer leaf", leaf)) for leaf in vectors["outer"]["leaves"]]
    equal("heads_root in the last outer leaf", unhex(vectors["heads"]["root"]),
          read_cbor(unhex(vectors["outer"]["leaves"][-1]["bytes"]))[3])
    root = tree_root(outer)
    equal("outer root", root, unhex(vectors["outer"]["root"]))
    checkpoint(vectors["checkpoint"], len(outer), root)


def checkpoint(vector, size, root):
    """C2SP tlog-checkpoint with an Ed25519 signature (type 1) and an ML-DSA-44 one (type 6)."""
    company = uuid(unhex(vector["company"]))
    origin = f"hauspost/{company}/{vector['era']}"
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    found, _, signatures = vector["note"].partition("\n\n")
    equal("note", found + "\n", text)
    classic, hybrid = (line.split(" ") for line in signatures.splitlines())
    ed25519, ml_dsa = unhex(vector["ed25519"]), unhex(vector["ml_dsa"])
    for line, kind, key in ((classic, 1, ed25519), (hybrid, 6, ml_dsa)):
        equal("signature line", line[:2], ["\u2014", origin])
        key_id = sha256(origin.encode() + b"\n" + bytes([kind]) + key)[:4]
        equal("key id of a note", base64.b64decode(line[2])[:4], key_id)
    signature = base64.b64decode(classic[2])[4:]
    equal("Ed25519", p.ed25519_verify(ed25519, text.encode(), signature), True)
    blob = base64.b64decode(hybrid[2])[4:]
    time, signature = blob[:8], blob[8:]
    equal("time of the cosignature", int.from_bytes(time, "big"), vector["time_s"])
    message = b"subtree/v1\n\x00" + label(origin) + time + label(origin) + bytes(8)
    message += size.to_bytes(8, "big") + root
    equal("ML-DSA-44", p.ml_dsa_verify(ml_dsa, message, signature), True)
    equal("ML-DSA-44 of another text", p.ml_dsa_verify(ml_dsa, message + b"x", signature), False)


def files():
    """STREAM over XChaCha20-Poly1305 in chunks of 64 KiB, and the tree over the chunks."""
    vectors = load("files.json")
    key = derive(unhex(vectors["file_key"]), "file", unhex(vectors["log"]))
    equal("chunk key", key, unhex(vectors["chunk_key"]))
    for document in vectors["documents"]:
        plain = bytes(at % 251 for at in range(document["plain_size"]))
        parts = [plain[at : at + 65_536] for at in range(0, len(plain), 65_536)] or [b""]
        equal("number of chunks", len(document["chunks"]), len(parts))
        leaves = []
        for number, (part, chunk) in enumerate(zip(parts, document["chunks"])):
            last = bytes([number == len(parts) - 1])
            nonce = bytes(19) + number.to_bytes(4, "big") + last
            sealed = p.xchacha_seal(key, nonce, b"hauspost/1 file", part)
            equal("length of a chunk", len(sealed), chunk["length"])
            equal("chunk", sha256(sealed), unhex(chunk["sha256"]))
            if chunk["bytes"] is not None:
                equal("bytes of a chunk", sealed, unhex(chunk["bytes"]))
            leaves.append(leaf_hash(sealed))
        size = sum(chunk["length"] for chunk in document["chunks"])
        equal("blob_size", size, document["blob_size"])
        equal("blob_root", tree_root(leaves), unhex(document["blob_root"]))
    for size in vectors["sizes_of_no_document"]:
        full, rest = divmod(size, 65_552)
        possible = rest > 16 or (rest == 0 and full > 0) or size == 16
        equal(f"a document of {size} bytes", possible and size <= 1 << 32, False)


# --- §10 -----------------------------------------------------------------------------------------


def grants():
    vectors = load("grants.json")
    log, keys = unhex(vectors["log"]), [[key["seq"], unhex(key["key"])] for key in vectors["keys"]]
    equal("the keys ascend", keys, sorted(keys))
    file_key = unhex(vectors["file_key"])
    nonce = bytes(19) + bytes(4) + b"\x01"
    chunk = p.xchacha_seal(derive(file_key, "file", log), nonce, b"hauspost/1 file", cbor(keys))
    equal("the list as a file", chunk, unhex(vectors["chunk"]))

    head, body = encoded("head", vectors["head"]), encoded("body", vectors["body"])
    version, kind, of, _, _, leaf, index, cap, transient, blobs = read_cbor(head)
    equal("head", [version, kind, of, leaf, index, cap, transient], [1, 6, log, None, None, None, 0])
    equal("exactly one blob", blobs, [[tree_root([leaf_hash(chunk)]), len(chunk)]])
    _, _, _, basis, ranges, enc, ct = read_cbor(body)
    equal("own", basis, [0])
    flat = [seq for each in ranges for seq in each]
    equal("ranges ascend", flat, sorted(flat))
    for seq, _ in keys:
        equal("the ranges hold each key", any(low <= seq <= high for low, high in ranges), True)
    public, key = p.xwing_keys(unhex(vectors["grantee"]["seed"]))
    randomness = unhex(vectors["grantee"]["randomness"])
    equal("enc", (enc, p.xwing_decapsulate(key, enc)), p.xwing_encapsulate(public, randomness))
    shared = p.xwing_decapsulate(key, enc)
    equal("ct", p.hpke_seal(shared, b"hauspost/1 grant", head, file_key), ct)

    seed, device = unhex(vectors["signer"]["seed"]), unhex(vectors["signer"]["device"])
    signature = p.ed25519_sign(seed, label("hauspost/1 entry-body") + cbor([head, body, device]))
    payload = cbor([body, device, signature])
    equal("payload", payload, unhex(vectors["payload"]))
    core = labelled_hash("hauspost/1 core", cbor([head, sha256(payload), len(payload)]))
    equal("core", core, unhex(vectors["core"]))
    equal("what asks for it", read_cbor(encoded("ask", vectors["ask"])), [6, None, ranges])


def own():
    own_state.check(load("own.json"), encoded, equal)


CHECKS = (
    encoding, hashes, entries, keys, xwing, capsules, records, content, own, resets, files, shares,
    hpke, grants, company, policy, tree,
)


def main():
    for check in CHECKS:
        before = COUNT
        try:
            check()
        except Differs as difference:
            print(f"{check.__name__}: {difference}", file=sys.stderr)
            return 1
        print(f"{check.__name__}: {COUNT - before} values as the protocol says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
